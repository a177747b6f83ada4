BEGIN IMMEDIATE;

-- One without a number, one number twice, one not on WhatsApp (it ends in 9), one not active.
INSERT OR IGNORE INTO customers (id, name, phone, odp, is_active) VALUES
    (1, 'Wayan Sudarma', '0812-3456-1001', 'ODP-MLT-01', 1),
    (2, 'Dewi Lestari', '+62 813 3456 1002', 'ODP-MLT-01', 1),
    (3, 'Agus Prasetyo', '6281234561003', 'ODP-MLT-01', 1),
    (4, 'Warung Bu Tini', '0', 'ODP-MLT-01', 1),
    (5, 'Rina Marlina', '081234561005', 'ODP-MLT-02', 1),
    (6, 'Rina Marlina (ruko)', '+6281234561005', 'ODP-MLT-02', 1),
    (7, 'Slamet Riyadi', '081234561009', 'ODP-MLT-02', 1),
    (8, 'Maria Goreti', '0857 1234 1008', 'odp-mlt-02', 1),
    (9, 'Hendra Wijaya', '081234561010', 'ODP-KNR-01', 1),
    (10, 'Yusuf Maulana', '081234561011', 'ODP-KNR-01', 0),
    (11, 'Kantor Kelurahan', '(0361) 555 012', 'ODP-KNR-02', 1),
    (12, 'Putu Ayu', '081234561012', NULL, 1);

INSERT OR IGNORE INTO network_notices
    (id, title, message, type, severity, is_mass, affected_area, affected_odp,
     start_time, end_time, is_active, created_at) VALUES
    (1, 'Gangguan listrik di POP', 'Listrik di POP Kenari padam dan sudah menyala lagi.',
     'gangguan', 'high', 0, 'Kenari', 'ODP-KNR-01, ODP-KNR-02',
     '2026-01-05 14:20:00', '2026-01-05 16:00:00', 0, '2026-01-05 14:30:00'),
    (2, 'Pemeliharaan perangkat', 'Perangkat inti akan diganti pada malam hari.',
     'maintenance', 'low', 1, NULL, NULL,
     '2026-02-01 01:00:00', '2026-02-01 04:00:00', 1, '2026-01-20 09:00:00'),
    (3, 'Kabel serat optik putus', 'Halo {nama}, kabel ke {odp} putus tertimpa pohon. Tim kami sedang menyambungnya.',
     'gangguan', 'critical', 0, 'Melati', 'ODP-MLT-01, ODP-MLT-02',
     '2026-01-22 07:45:00', '2026-01-22 12:00:00', 1, '2026-01-22 08:00:00');

COMMIT;
