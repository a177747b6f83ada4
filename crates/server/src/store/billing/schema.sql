BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    phone TEXT,
    odp TEXT,
    is_active INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE IF NOT EXISTS network_notices (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    message TEXT NOT NULL,
    type TEXT NOT NULL DEFAULT 'gangguan',
    severity TEXT NOT NULL DEFAULT 'medium',
    is_mass INTEGER NOT NULL DEFAULT 0,
    affected_area TEXT,
    affected_odp TEXT,
    start_time TEXT,
    end_time TEXT,
    is_active INTEGER NOT NULL DEFAULT 1,
    created_at TEXT
);

COMMIT;
