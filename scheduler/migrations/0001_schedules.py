"""Schedules, the ledger of their ticks, and the events that wait for a bus."""

from alembic import op

revision = "scheduler_0001"
down_revision = None


def upgrade() -> None:
    """Create scheduler.schedules, ticks, outbox and removed."""
    op.execute("""
        CREATE TABLE scheduler.schedules (
            name text PRIMARY KEY,
            cron text,
            every interval,
            timezone text NOT NULL,
            type text NOT NULL,
            data jsonb NOT NULL,
            misfire text NOT NULL CHECK (misfire IN ('skip', 'fire_once', 'fire_all')),
            catch_up interval NOT NULL,
            overlap text NOT NULL CHECK (overlap IN ('allow', 'skip')),
            jitter interval NOT NULL,
            starts_at timestamptz,
            ends_at timestamptz,
            paused_at timestamptz,
            note text,
            next_at timestamptz,
            fires_at timestamptz,
            version bigint NOT NULL DEFAULT 1,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            CHECK ((cron IS NULL) <> (every IS NULL)),
            CHECK ((next_at IS NULL) = (fires_at IS NULL))
        )
    """)
    op.execute("CREATE INDEX schedules_fires_at ON scheduler.schedules (fires_at)")
    # The primary key is what makes a tick one: whoever inserts it has it, and nobody else.
    op.execute("""
        CREATE TABLE scheduler.ticks (
            schedule text NOT NULL,
            tick timestamptz NOT NULL,
            type text NOT NULL,
            cause text NOT NULL,
            fired boolean NOT NULL,
            due_at timestamptz NOT NULL,
            decided_at timestamptz NOT NULL,
            event_id uuid,
            published_at timestamptz,
            open boolean NOT NULL DEFAULT false,
            detail text,
            PRIMARY KEY (schedule, tick),
            CHECK (fired = (event_id IS NOT NULL))
        )
    """)
    op.execute("CREATE INDEX ticks_open ON scheduler.ticks (schedule) WHERE open")
    # Ticks come in the order of their decision: a BRIN index is a few pages, and enough to prune by.
    op.execute("CREATE INDEX ticks_decided_at ON scheduler.ticks USING brin (decided_at)")
    op.execute("""
        CREATE TABLE scheduler.outbox (
            id uuid PRIMARY KEY,
            type text NOT NULL,
            source text NOT NULL,
            attributes jsonb NOT NULL,
            data bytea NOT NULL,
            schedule text NOT NULL,
            tick timestamptz NOT NULL,
            published_at timestamptz,
            place text
        )
    """)
    op.execute("CREATE INDEX outbox_waiting ON scheduler.outbox (type, tick) WHERE published_at IS NULL")
    op.execute("CREATE INDEX outbox_published ON scheduler.outbox (id) WHERE published_at IS NOT NULL")
    op.execute("""
        CREATE TABLE scheduler.removed (
            name text PRIMARY KEY,
            removed_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    # The gateway's history is applied before this one. Where no gateway is, nobody needs to be let in.
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'trunkline_gateway') THEN
                GRANT USAGE ON SCHEMA scheduler TO trunkline_gateway;
                GRANT SELECT, INSERT, UPDATE, DELETE ON scheduler.schedules, scheduler.removed
                    TO trunkline_gateway;
                GRANT SELECT, INSERT ON scheduler.ticks TO trunkline_gateway;
                GRANT SELECT, UPDATE, DELETE ON scheduler.outbox TO trunkline_gateway;
            END IF;
        END $$
    """)


def downgrade() -> None:
    """Drop all four."""
    op.execute("DROP TABLE scheduler.removed, scheduler.outbox, scheduler.ticks, scheduler.schedules")
