//! The `kabari` program.

use std::process::ExitCode;

/// Gives back to the system what a burst of requests has taken, within seconds; the C library's
/// keeps it. There is none for Microsoft's compiler.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    kabari::cli::main()
}
