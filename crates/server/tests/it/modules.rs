//! The modules of a crate use each other in one direction.

use crate::architecture::{Source, sources};
use std::collections::{BTreeMap, BTreeSet};

/// The modules at the root of a crate, with those that each of them names as `crate::...`.
fn uses(sources: &[Source]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        let module = source.module();
        let paths = source.shipped_code().flat_map(|(_, line)| line.split("crate::").skip(1));
        let ends = |at: char| !at.is_alphanumeric() && at != '_';
        let named = paths.filter_map(|path| path.split(ends).next());
        uses.entry(module).or_default().extend(named.filter(|name| *name != module));
    }
    // The root of the crate may name all of them.
    uses.retain(|module, _| !["lib", "main"].contains(module));
    let modules: BTreeSet<&str> = uses.keys().copied().collect();
    for named in uses.values_mut() {
        named.retain(|name| modules.contains(name));
    }
    uses
}

/// Returns the modules that are left when those that use no other are taken away, again and again.
fn circle<'a>(mut uses: BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    while let Some(leaf) = uses.iter().find(|(_, used)| used.is_empty()).map(|(leaf, _)| *leaf) {
        uses.remove(leaf);
        for used in uses.values_mut() {
            used.remove(leaf);
        }
    }
    uses.into_keys().collect()
}

#[test]
fn modules_form_no_circle() {
    for name in ["domain", "gateway", "server", "wa-sim"] {
        let sources = sources(&format!("crates/{name}/src"), &["rs"]);
        let uses = uses(&sources);
        assert!(uses.len() > 3, "{name}: {uses:?}");
        let circle = circle(uses);
        assert!(
            circle.is_empty(),
            "{name}: among {circle:?}, move what both sides need below them"
        );
    }
}

#[test]
fn a_circle_is_found() {
    let uses = [("a", &["b"][..]), ("b", &["c"]), ("c", &["b", "d"]), ("d", &[])];
    let uses = uses.map(|(module, used)| (module, used.iter().copied().collect())).into();
    assert_eq!(circle(uses), ["a", "b", "c"].into());
}
