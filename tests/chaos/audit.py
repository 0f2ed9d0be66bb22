"""What the databases themselves saw, in the order of their commits: triggers write down each move of a mark and of a position."""
import psycopg2

from cluster import SERVICES

TRIGGERS = """
CREATE SCHEMA audit;
CREATE TABLE audit.marks (number BIGSERIAL, service TEXT, stream TEXT, before BIGINT, after BIGINT);
CREATE TABLE audit.positions (number BIGSERIAL, service TEXT, partition BIGINT, before BIGINT, after BIGINT,
  epoch_before BIGINT, epoch BIGINT);
CREATE FUNCTION audit.mark() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit.marks (service, stream, before, after) VALUES
    (TG_TABLE_SCHEMA, NEW.stream, CASE WHEN TG_OP = 'UPDATE' THEN OLD.sequence ELSE 0 END, NEW.sequence);
  RETURN NULL;
END $$;
CREATE FUNCTION audit.position() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit.positions (service, partition, before, after, epoch_before, epoch) VALUES
    (TG_TABLE_SCHEMA, NEW.partition, OLD.next_offset, NEW.next_offset, OLD.epoch, NEW.epoch);
  RETURN NULL;
END $$;
"""


class Audit:
    def __init__(self, uri):
        self.uri = uri

    def query(self, text):
        connection = psycopg2.connect(self.uri, connect_timeout=5)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(text)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def begin(self):
        self.query(TRIGGERS + "".join(
            f"CREATE TRIGGER audit AFTER INSERT OR UPDATE ON {service}.event_marks FOR EACH ROW EXECUTE FUNCTION audit.mark();"
            f"CREATE TRIGGER audit AFTER UPDATE ON {service}.positions FOR EACH ROW EXECUTE FUNCTION audit.position();"
            for service in SERVICES))

    def sum(self, table, where="TRUE"):
        """Rows of a table in all services' schemas."""
        return sum(self.query(f"SELECT COUNT(*) FROM {service}.{table} WHERE {where}")[0][0] for service in SERVICES)

    def positions(self, service):
        return dict(self.query(f"SELECT partition, next_offset FROM {service}.positions"))

    def letters(self, service):
        return self.query(f"SELECT event_id, type, subject, reason FROM {service}.dead_letters")

    def marks(self):
        """{(service, stream): [sequence…]} as they were set, and what was set to no higher one."""
        moves, again = {}, []
        for service, stream, before, after in self.query(
                "SELECT service, stream, before, after FROM audit.marks ORDER BY number"):
            moves.setdefault((service, stream), []).append(after)
            if after <= before:
                again.append(f"{service}: {stream}: {before} -> {after}")
        return moves, again

    def has_faults(self):
        """Whether the triggers have seen a fault so far; False while the database is away."""
        try:
            return bool(self.query(
                "SELECT 1 FROM audit.marks WHERE after <= before UNION ALL SELECT 1 FROM audit.positions WHERE after < before LIMIT 1"))
        except psycopg2.Error:
            return False

    def position_faults(self):
        """(moves, those that went back or left the epoch's order)."""
        moves, faults = 0, []
        for service, partition, before, after, epoch_before, epoch in self.query(
                "SELECT service, partition, before, after, epoch_before, epoch FROM audit.positions ORDER BY number"):
            moves += 1
            if after < before or epoch < epoch_before or (after == before and epoch == epoch_before):
                faults.append(f"{service}: partition {partition}: {before} -> {after} in epoch {epoch_before} -> {epoch}")
        return moves, faults
