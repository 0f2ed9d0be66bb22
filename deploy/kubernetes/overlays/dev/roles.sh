#!/bin/bash
# Run by the image of PostgreSQL when it has made the database: a role and a schema a service, and a role that owns them.
set -euo pipefail
passwords=/run/tandem/passwords

for service in ticket_intake triage sla_timer survey account_health; do
  for role in "$service" "${service}_migrator"; do
    # By standard input, where no list of processes shows it.
    printf "CREATE ROLE %s LOGIN PASSWORD '%s';\n" "$role" "$(cat "$passwords/$role")"
  done
  echo "CREATE SCHEMA $service AUTHORIZATION ${service}_migrator;"
done | psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=tandem
