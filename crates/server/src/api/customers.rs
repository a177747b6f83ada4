//! Customers, as the billing database has them.

use super::Api;
use super::error::ApiResult;
use super::streamed::{self, JSON};
use super::validation::{Fields, FromFields, Query};
use crate::store::CustomerFilter;
use axum::extract::State;
use axum::response::Response;
use futures_util::TryStreamExt;
use kabari_domain::Customer;
use serde::Serialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A customer.
#[derive(Serialize, ToSchema)]
pub struct CustomerBody {
    #[schema(example = 1)]
    id: i64,
    #[schema(example = "Budi Santoso")]
    name: String,
    /// As somebody typed it.
    #[schema(example = "081234567801")]
    phone: Option<String>,
    is_active: bool,
    #[schema(example = "ODP-001")]
    odp: Option<String>,
}

impl From<Customer> for CustomerBody {
    fn from(customer: Customer) -> CustomerBody {
        let Customer { id, name, phone, odp, is_active } = customer;
        CustomerBody { id, name, phone, is_active, odp }
    }
}

/// Which customers.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CustomersQuery {
    /// Those of this ODP. Case and blanks around it do not matter.
    #[param(example = "ODP-001")]
    odp: Option<String>,
    /// Only those who are active.
    #[param(default = true, required = false)]
    active_only: bool,
}

impl FromFields for CustomersQuery {
    fn read(fields: &mut Fields) -> Self {
        CustomersQuery {
            odp: fields.text("odp", usize::MAX).filter(|odp| !odp.is_empty()),
            active_only: fields.boolean("active_only").unwrap_or(true),
        }
    }
}

/// The customers, by id
#[utoipa::path(get, path = "/api/customers", tag = "billing", operation_id = "list_customers", params(CustomersQuery), responses(
    (status = 200, description = "Streamed; a connection that breaks off says the list is not complete",
        body = Vec<CustomerBody>),
))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Query(query): Query<CustomersQuery>,
) -> ApiResult<Response> {
    let filter = CustomerFilter {
        active_only: query.active_only,
        odps: query.odp.map(|odp| vec![odp]),
        ..CustomerFilter::default()
    };
    streamed::answer(JSON, move |mut writer| async move {
        writer.array(api.billing.customers(&filter).map_ok(CustomerBody::from)).await?;
        Ok(writer)
    })
    .await
}
