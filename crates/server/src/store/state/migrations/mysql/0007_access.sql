-- Who may come in: users of the operator's page, their logins, API keys, and the record of what
-- they did.

CREATE TABLE IF NOT EXISTS users (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    role VARCHAR(20) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    created_at BIGINT NOT NULL,
    password_changed_at BIGINT NOT NULL,
    last_login_at BIGINT
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS logins (
    id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
    token_hash CHAR(64) NOT NULL UNIQUE,
    user_name VARCHAR(64) NOT NULL,
    address VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    KEY logins_user (user_name)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS api_keys (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    scope VARCHAR(20) NOT NULL,
    key_hash CHAR(64) NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    created_by VARCHAR(64) NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS audit (
    id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
    at BIGINT NOT NULL,
    actor_kind VARCHAR(20) NOT NULL,
    actor_name VARCHAR(64) NOT NULL,
    address VARCHAR(64),
    action VARCHAR(40) NOT NULL,
    subject VARCHAR(255) NOT NULL,
    details TEXT NOT NULL,
    KEY audit_action (action, id),
    KEY audit_actor (actor_name, id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
