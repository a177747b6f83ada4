//! An ISP's customer, as the billing database has them.

/// One row of the billing table `customers`: only what a notice needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The billing database's id.
    pub id: i64,
    /// Full name; goes into `{nama}` and `{name}`.
    pub name: String,
    /// The phone number as somebody typed it: may be empty, `0`, or no number at all.
    pub phone: Option<String>,
    /// The distribution point (ODP) the customer's line hangs on.
    pub odp: Option<String>,
    /// Customers who are not active are never written to.
    pub is_active: bool,
}
