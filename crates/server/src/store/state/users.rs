//! Users of the operator's page.

use super::super::error::StoreError;
use super::super::row::{Value, params, record, stored_by_name};
use super::StateStore;
use kabari_domain::{Role, Timestamp};

record! {
from "users";
/// A user of the operator's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// When the user was added.
    pub created_at: Timestamp,
    /// When the password was set last.
    pub password_changed_at: Timestamp,
    /// When the user logged in last.
    pub last_login_at: Option<Timestamp>,
}
}

stored_by_name!(Role);

impl StateStore {
    /// Adds a user. Returns false if the name is taken.
    pub async fn add_user(
        &self,
        name: &str,
        role: Role,
        password_hash: &str,
    ) -> Result<bool, StoreError> {
        let now = self.now().await?.0;
        let sql = "INSERT INTO users (name, role, password_hash, created_at, password_changed_at) \
                   VALUES (?, ?, ?, ?, ?)";
        let values = params![name, role.as_str(), password_hash, now, now];
        match self.db().retry(|| self.db().execute(sql, values.clone())).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns all users, by name.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        let rows = self.db().rows(&User::select("ORDER BY name"), vec![]).await?;
        rows.iter().map(User::read).collect()
    }

    /// Returns the user of this name.
    pub async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        let row = self.db().row(&User::select("WHERE name = ?"), params![name]).await?;
        row.map(|row| User::read(&row)).transpose()
    }

    /// Returns whether there is any user.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        let row = self.db().row("SELECT name FROM users LIMIT 1", vec![]).await?;
        Ok(row.is_some())
    }

    /// Returns the hash of a user's password.
    pub async fn password_hash(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT password_hash FROM users WHERE name = ?";
        let row = self.db().row(sql, params![name]).await?;
        row.map(|row| row.get("password_hash")).transpose()
    }

    /// Sets a user's password, and logs the user out everywhere. Returns false if there is no such
    /// user.
    pub async fn set_password(&self, name: &str, hash: &str) -> Result<bool, StoreError> {
        let now = self.now().await?.0;
        let sql = "UPDATE users SET password_hash = ?, password_changed_at = ? WHERE name = ?";
        self.change_user(name, sql, params![hash, now, name]).await
    }

    /// Sets a user's role, and logs the user out everywhere. Returns false if there is no such
    /// user.
    pub async fn set_role(&self, name: &str, role: Role) -> Result<bool, StoreError> {
        let sql = "UPDATE users SET role = ? WHERE name = ?";
        self.change_user(name, sql, params![role.as_str(), name]).await
    }

    /// Removes a user, and logs the user out everywhere. Returns false if there is no such user.
    pub async fn remove_user(&self, name: &str) -> Result<bool, StoreError> {
        self.change_user(name, "DELETE FROM users WHERE name = ?", params![name]).await
    }

    async fn change_user(
        &self,
        name: &str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<bool, StoreError> {
        let change = || async {
            let mut tx = self.db().begin().await?;
            let locked = format!("SELECT name FROM users WHERE name = ?{}", tx.engine().lock_row());
            if tx.row(&locked, params![name]).await?.is_none() {
                return Ok(false);
            }
            tx.execute(sql, values.clone()).await?;
            let logins = "DELETE FROM logins WHERE user_name = ?";
            tx.execute(logins, params![name]).await?;
            tx.commit().await?;
            Ok(true)
        };
        self.db().retry(change).await
    }
}
