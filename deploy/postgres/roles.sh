#!/bin/sh
# Run once by PostgreSQL's image, when its volume is empty: one role that works and one that may only read.
# psql reads the passwords itself: they are in no argument, no variable of the environment and no log.
set -eu
psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username=postgres --dbname="$POSTGRES_DB" <<'SQL'
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
\set worker `cat /run/secrets/worker_password`
\set dashboard `cat /run/secrets/dashboard_password`
CREATE ROLE sweetspot LOGIN PASSWORD :'worker';
CREATE ROLE dashboard LOGIN PASSWORD :'dashboard';
ALTER ROLE dashboard SET default_transaction_read_only = on;

-- The worker owns its database and nothing else; nobody else may even connect to it.
SELECT current_database() AS database \gset
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
ALTER DATABASE :"database" OWNER TO sweetspot;
GRANT CONNECT ON DATABASE :"database" TO dashboard;

-- The tables that the worker will make may be read by the dashboard.
ALTER DEFAULT PRIVILEGES FOR ROLE sweetspot IN SCHEMA public GRANT SELECT ON TABLES TO dashboard;
SQL
