#include "database/mariadb/dump/dump.h"

#include <fmt/format.h>
#include <mysqld_error.h>

#include <algorithm>
#include <deque>
#include <mutex>

#include "core/parallel.h"
#include "database/mariadb/dump/plain_tools.h"
#include "database/mariadb/dump/privileges.h"
#include "database/mariadb/dump/ranges.h"
#include "database/mariadb/dump/snapshot_sessions.h"

namespace sevenfold::database::mariadb {
namespace {

using sql::MariadbConnection;
using sql::quote_name;

constexpr size_t kFlush = 256 << 10;    // rows are handed on in buffers of about this size
constexpr size_t kStatement = 1 << 20;  // an INSERT statement is about this long
constexpr unsigned kMostThreads = 8;

struct Piece {
    size_t table;
    std::string condition, path;
    uint64_t weight;
};

std::string select_statement(const TableInfo& table, const std::string& condition) {
    std::string text = fmt::format("SELECT {} FROM {}", fmt::join(table.selects, ","),
                                   quote_name(table.database, table.name));
    if (table.versioned) text += " FOR SYSTEM_TIME ALL";
    if (!condition.empty()) text += " WHERE " + condition;
    if (!table.transactional || table.primary_key.empty()) return text;
    text += " ORDER BY ";
    for (size_t i = 0; i < table.primary_key.size(); ++i)
        text += (i ? "," : "") + quote_name(table.primary_key[i].name);
    return text;
}

std::string insert_head(const TableInfo& table) {
    std::vector<std::string> names;
    for (const RowColumn& column : table.columns) names.push_back(quote_name(column.name));
    return fmt::format("INSERT INTO {} ({}) VALUES\n", quote_name(table.database, table.name),
                       fmt::join(names, ","));
}

// The definition of a table changed after the snapshot, or the table is gone.
bool changed_meanwhile(const sql::ServerError& error) {
    return error.number == ER_TABLE_DEF_CHANGED || error.number == ER_NO_SUCH_TABLE;
}

class Dumper {
  public:
    Dumper(const DumpOptions& options, repository::TreeWriter& tree)
        : options_(options), tree_(tree) {}

    DumpResult run() {
        result_.base.started = Clock::system().now();
        MariadbConnection control(options_.login);
        control.execute("SET SESSION lock_wait_timeout=10");
        std::vector<std::string> databases;
        for (const sql::Row& row : control.query("SHOW DATABASES"))
            if (options_.selection.has_database(*row[0])) databases.push_back(*row[0]);
        require_dump_privileges(control, databases, options_.users);
        Schema schema(control, options_.selection);
        unsigned threads =
            options_.threads != 0 ? options_.threads : std::clamp(cpu_count(), 2U, kMostThreads);
        SnapshotSessions snapshot = open_snapshot(options_.login, threads, schema.tables);
        result_.base.consistent_at = Clock::system().now();
        result_.base.position = snapshot.position;
        result_.commits_blocked = snapshot.commits_blocked;
        if (snapshot.single)
            result_.warnings.push_back(
                "one session only: the account lacks RELOAD, which opening several needs");
        pin(*snapshot.sessions[0], schema);
        same_schema(control, schema);
        write_schema(control, schema);
        cut(control, schema);
        read_locked_tables(snapshot, schema);
        read_tables(snapshot, schema);
        describe(control, schema);
        finish(control, databases);
        return std::move(result_);
    }

  private:
    // From here on no definition can change until the snapshot ends: others wait for us.
    void pin(MariadbConnection& session, const Schema& schema) {
        for (const TableInfo& table : schema.tables)
            if (table.transactional) try {
                    session.query("SELECT 1 FROM " + quote_name(table.database, table.name) +
                                  " LIMIT 0");
                } catch (const sql::ServerError& error) {
                    throw retry(error, table);
                }
    }

    // What was read before the snapshot must still be so.
    void same_schema(MariadbConnection& control, const Schema& schema) {
        Schema now(control, options_.selection);
        bool same = now.tables.size() == schema.tables.size() &&
                    now.views.statements == schema.views.statements &&
                    now.routines.statements == schema.routines.statements &&
                    now.triggers.statements == schema.triggers.statements;
        auto definition = [](const TableInfo& table) {
            // The counter of new rows is no definition.
            size_t at = table.create.find(" AUTO_INCREMENT=");
            if (at == table.create.npos) return table.create;
            size_t end = table.create.find(' ', at + 1);
            return table.create.substr(0, at) +
                   (end == table.create.npos ? "" : table.create.substr(end));
        };
        for (size_t i = 0; same && i < now.tables.size(); ++i)
            same = definition(now.tables[i]) == definition(schema.tables[i]);
        if (!same)
            throw Error(ErrorKind::timeout, "the schema changed while the dump began",
                        "Run it again when no migration is running.");
    }

    static Error retry(const sql::ServerError& error, const TableInfo& table) {
        if (!changed_meanwhile(error)) return error.with_context("table " + table.display());
        return Error(
            ErrorKind::timeout,
            fmt::format("table {} changed during the dump: {}", table.display(), error.message()),
            "Run it again when no migration is running.");
    }

    void add_file(const SqlFile& file) {
        tree_.add(file.path, as_bytes(render(file.statements)), {});
        result_.base.schema_files.push_back(file.path);
    }

    void write_schema(MariadbConnection& control, const Schema& schema) {
        add_file(schema.create_databases);
        add_file(schema.sequences);
        for (const TableInfo& table : schema.tables) {
            TableContent content;
            content.database = table.database;
            content.name = table.name;
            content.engine = table.engine;
            content.versioned = table.versioned;
            for (const RowColumn& column : table.columns) content.columns.push_back(column.name);
            result_.base.tables.push_back(std::move(content));
            add_file({table_file(table.database, table.name),
                      {"SET NAMES utf8mb4",
                       "SET SESSION foreign_key_checks=0, sql_mode='NO_AUTO_VALUE_ON_ZERO', "
                       "innodb_strict_mode=0, time_zone='+00:00'",
                       "USE " + quote_name(table.database), table.create}});
        }
        add_file(schema.routines);
        add_file(schema.views);
        add_file(schema.triggers);
        add_file(schema.events);
        if (!options_.users) return;
        Users users = read_users(control);
        result_.base.objects["user"] = users.count;
        add_file(users.file);
    }

    void cut(MariadbConnection& control, const Schema& schema) {
        const char* ending = options_.format == RowFormat::tsv ? "tsv" : "sql";
        for (size_t t = 0; t < schema.tables.size(); ++t) {
            const TableInfo& table = schema.tables[t];
            auto conditions = cut_table(table, options_.piece_bytes, [&](const std::string& what) {
                return control.value(
                    fmt::format("SELECT {} FROM {}", what, quote_name(table.database, table.name)));
            });
            for (size_t i = 0; i < conditions.size(); ++i) {
                std::string path = fmt::format("data/{}/{}/{:06}.{}", file_name(table.database),
                                               file_name(table.name), i, ending);
                result_.base.tables[t].files.push_back(path);
                (table.transactional ? pieces_ : locked_pieces_)
                    .push_back({t, conditions[i], path, table.data_length / conditions.size()});
            }
            if (options_.progress) options_.progress->bytes_total += table.data_length;
        }
        if (options_.progress)
            options_.progress->items_total = pieces_.size() + locked_pieces_.size();
        // The largest first, so that no session works alone at the end.
        std::ranges::stable_sort(pieces_, std::greater<>(), &Piece::weight);
    }

    void read_piece(MariadbConnection& session, const Schema& schema, const Piece& piece) {
        const TableInfo& table = schema.tables[piece.table];
        if (options_.progress) options_.progress->set_current(table.display());
        auto file = tree_.create(piece.path, {});
        uint64_t checksum = 0, rows = 0;
        try {
            rows = read_rows(session, table, piece.condition, options_.format, checksum,
                             [&](ByteView bytes) {
                                 if (options_.stop.stop_requested() || stopping_)
                                     throw Error(ErrorKind::interrupted, "interrupted");
                                 file->write(bytes);
                                 if (options_.progress)
                                     options_.progress->bytes_done += bytes.size();
                             });
        } catch (const sql::ServerError& error) {
            throw retry(error, table);
        }
        file->finish();
        if (options_.progress) ++options_.progress->items_done;
        std::lock_guard lock(mutex_);
        result_.base.tables[piece.table].rows += rows;
        result_.base.tables[piece.table].checksum += checksum;
    }

    void read_locked_tables(SnapshotSessions& snapshot, const Schema& schema) {
        if (!snapshot.locked) return;
        prepare_for_rows(*snapshot.locked);
        for (const Piece& piece : locked_pieces_) read_piece(*snapshot.locked, schema, piece);
        snapshot.locked.reset();  // writers go on
    }

    void read_tables(SnapshotSessions& snapshot, const Schema& schema) {
        std::deque<const Piece*> queue;
        for (const Piece& piece : pieces_) queue.push_back(&piece);
        auto next = [&]() -> const Piece* {
            std::lock_guard lock(mutex_);
            if (queue.empty()) return nullptr;
            const Piece* piece = queue.front();
            queue.pop_front();
            return piece;
        };
        ThreadGroup group;
        group.on_failure([this] { stopping_ = true; });
        for (auto& session : snapshot.sessions)
            group.start([&, connection = session.get()](std::stop_token stop) {
                prepare_for_rows(*connection);
                while (!stop.stop_requested()) {
                    const Piece* piece = next();
                    if (piece == nullptr) return;
                    read_piece(*connection, schema, *piece);
                }
            });
        group.wait();
    }

    void describe(MariadbConnection& control, const Schema& schema) {
        BaseManifest& base = result_.base;
        base.method = "logical";
        base.data_format = options_.format == RowFormat::tsv ? "tsv" : "sql";
        base.server_version = control.server_version();
        base.tool_version = "sevenfold " SEVENFOLD_VERSION;
        base.server_host = control.value("SELECT @@hostname").value_or("");
        base.server_id = std::strtoull(
            control.value("SELECT @@global.server_id").value_or("0").c_str(), nullptr, 10);
        for (const char* name : {"lower_case_table_names", "character_set_server",
                                 "collation_server", "innodb_page_size", "sql_mode"})
            base.server_variables[name] =
                control.value(fmt::format("SELECT @@global.{}", name)).value_or("");
        base.objects["table"] = schema.tables.size();
        base.objects["view"] = schema.view_count;
        base.objects["trigger"] = schema.trigger_count;
        base.objects["function"] = schema.function_count;
        base.objects["procedure"] = schema.procedure_count;
        base.objects["event"] = schema.event_count;
        base.objects["sequence"] = schema.sequence_count;
    }

    void finish(MariadbConnection& control, const std::vector<std::string>& databases) {
        ObjectCounts counted = count_objects(control, options_.selection, databases);
        for (const auto& [kind, count] : counted)
            if (result_.base.objects[kind] != count)
                throw Error(ErrorKind::timeout,
                            fmt::format("the dump holds {} of kind {}, the server {}",
                                        result_.base.objects[kind], kind, count),
                            "Run it again when no migration is running; if it stays so, the "
                            "account's rights are too small: `sevenfold db grants`.");
        result_.base.ended = Clock::system().now();
        tree_.add("load.sql", as_bytes(load_script(result_.base)), {});
        tree_.add("README", as_bytes(readme(result_.base)), {});
        tree_.add("base.json", as_bytes(encode_base(result_.base)), {});
    }

    const DumpOptions& options_;
    repository::TreeWriter& tree_;
    DumpResult result_;
    std::vector<Piece> pieces_, locked_pieces_;
    std::mutex mutex_;
    std::atomic<bool> stopping_{false};
};

}  // namespace

void prepare_for_rows(MariadbConnection& session) {
    session.execute("SET SESSION character_set_results=NULL");
}

uint64_t read_rows(MariadbConnection& session, const TableInfo& table, const std::string& condition,
                   RowFormat format, uint64_t& checksum,
                   const std::function<void(ByteView)>& sink) {
    Bytes buffer, line;
    buffer.reserve(kFlush + (64 << 10));
    uint64_t rows = 0;
    size_t statement = 0;  // bytes of the open INSERT
    const std::string head = format == RowFormat::sql ? insert_head(table) : "";
    session.stream(select_statement(table, condition), [&](const sql::RowView& row) {
        ++rows;
        if (format == RowFormat::tsv) {
            size_t start = buffer.size();
            append_tsv_row(buffer, row);
            checksum += row_hash(ByteView(buffer).subspan(start));
        } else {
            line.clear();
            append_tsv_row(line, row);
            checksum += row_hash(line);
            append(buffer, as_bytes(statement == 0 ? head : ",\n"));
            size_t start = buffer.size();
            append_sql_row(buffer, row, table.columns);
            statement += buffer.size() - start;
            if (statement >= kStatement) {
                append(buffer, as_bytes(";\n"));
                statement = 0;
            }
        }
        if (buffer.size() < kFlush) return;
        sink(buffer);
        buffer.clear();
    });
    if (statement != 0) append(buffer, as_bytes(";\n"));
    if (!buffer.empty()) sink(buffer);
    return rows;
}

DumpResult dump(const DumpOptions& options, repository::TreeWriter& tree) {
    return Dumper(options, tree).run();
}

}  // namespace sevenfold::database::mariadb
