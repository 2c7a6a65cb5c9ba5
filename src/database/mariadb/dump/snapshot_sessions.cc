#include "database/mariadb/dump/snapshot_sessions.h"

#include <fmt/format.h>
#include <mysqld_error.h>

#include <thread>

#include "core/log.h"
#include "database/mariadb/server_facts.h"

namespace sevenfold::database::mariadb {
namespace {

using Connection = sql::MariadbConnection;

std::unique_ptr<Connection> connect(const sql::MariadbOptions& login) {
    auto connection = std::make_unique<Connection>(login);
    // The server must not end a session that waits for its turn.
    connection->execute(
        "SET SESSION lock_wait_timeout=2, tx_isolation='REPEATABLE-READ', wait_timeout=31536000, "
        "idle_transaction_timeout=0, idle_readonly_transaction_timeout=0, max_statement_time=0");
    return connection;
}

void open_sessions(SnapshotSessions& out) {
    for (auto& session : out.sessions) {
        session->execute("START TRANSACTION WITH CONSISTENT SNAPSHOT");
        Position position = binlog_place(*session);
        if (&session == &out.sessions.front())
            out.position = position;
        else if (!(position == out.position))
            throw Error(ErrorKind::timeout, "the sessions saw the server at different moments");
    }
}

std::string lock_statement(const std::vector<TableInfo>& tables) {
    std::string list;
    for (const TableInfo& table : tables)
        if (!table.transactional && !table.elsewhere)
            list +=
                (list.empty() ? "" : ", ") + sql::quote_name(table.database, table.name) + " READ";
    return list.empty() ? "" : "LOCK TABLES " + list;
}

// One attempt with commits blocked.
void hold_and_open(SnapshotSessions& out, Connection& control, const std::string& lock) {
    control.execute("BACKUP STAGE START");
    try {
        control.execute("BACKUP STAGE FLUSH");
        control.execute("BACKUP STAGE BLOCK_DDL");  // also blocks writes without transactions
        if (out.locked) out.locked->execute(lock);
        auto from = std::chrono::steady_clock::now();
        control.execute("BACKUP STAGE BLOCK_COMMIT");
        open_sessions(out);
        control.execute("BACKUP STAGE END");
        out.commits_blocked = std::chrono::steady_clock::now() - from;
    } catch (...) {
        try {
            control.execute("BACKUP STAGE END");
        } catch (const Error&) {  // the connection's end ends it, too
        }
        throw;
    }
}

// Nobody could go on from a base whose position is not known: that is no base.
void find_gtid(SnapshotSessions& out) {
    Connection& session = *out.sessions[0];
    if (out.position.file.empty()) {
        if (session.value("SELECT @@global.log_bin") == "1")
            throw Error(ErrorKind::io, "the server does not say where in its binlog it stands");
        return;
    }
    auto gtid = session.value(fmt::format("SELECT BINLOG_GTID_POS({}, {})",
                                          sql::quote_text(out.position.file), out.position.offset));
    if (!gtid)
        throw Error(ErrorKind::io,
                    fmt::format("the server knows no GTID for its own position {} {}",
                                out.position.file, out.position.offset));
    out.position.gtid = *gtid;
}

bool may_try_again(const sql::ServerError& error) {
    return error.number == ER_LOCK_WAIT_TIMEOUT || error.number == ER_LOCK_DEADLOCK ||
           error.number == ER_BACKUP_LOCK_IS_ACTIVE;
}

}  // namespace

SnapshotSessions open_snapshot(const sql::MariadbOptions& login, unsigned count,
                               const std::vector<TableInfo>& tables, unsigned attempts) {
    const std::string lock = lock_statement(tables);
    for (unsigned attempt = 1;; ++attempt) {
        SnapshotSessions out;
        auto control = connect(login);
        for (unsigned i = 0; i < count; ++i) out.sessions.push_back(connect(login));
        if (!lock.empty()) out.locked = connect(login);
        try {
            hold_and_open(out, *control, lock);
        } catch (const sql::ServerError& error) {
            if (error.number == ER_SPECIFIC_ACCESS_DENIED_ERROR) {
                // One session sees one moment without any lock; tables without transactions are
                // locked for as long as they are read.
                if (out.locked) out.locked->execute(lock);
                out.sessions.resize(1);
                out.single = true;
                open_sessions(out);
            } else {
                if (!may_try_again(error) || attempt >= attempts) throw;
                log_debug("{}; once more", error.message());
                std::this_thread::sleep_for(std::chrono::milliseconds(200));
                continue;
            }
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::timeout || attempt >= attempts) throw;
            continue;
        }
        find_gtid(out);
        return out;
    }
}

}  // namespace sevenfold::database::mariadb
