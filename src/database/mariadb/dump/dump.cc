#include "database/mariadb/dump/dump.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/log.h"
#include "core/parallel.h"
#include "database/mariadb/dump/internal/attempt.h"
#include "database/mariadb/dump/inventory.h"
#include "database/mariadb/dump/plain_tools.h"
#include "database/mariadb/dump/privileges.h"
#include "database/mariadb/dump/snapshot_sessions.h"
#include "database/mariadb/server_facts.h"

namespace sevenfold::database::mariadb {
namespace {

using sql::MariadbConnection;
using sql::quote_name;

constexpr unsigned kMostThreads = 8;

// One attempt at a dump.
class Dumper {
  public:
    Dumper(const DumpOptions& options, BaseFiles& files) : options_(options), files_(files) {}

    DumpResult run() {
        result_.base.started = Clock::system().now();
        MariadbConnection control(options_.login);
        control.execute("SET SESSION lock_wait_timeout=10, wait_timeout=31536000");
        std::vector<std::string> databases;
        for (const sql::Row& row : control.query("SHOW DATABASES"))
            if (options_.selection.has_database(*row[0])) databases.push_back(*row[0]);
        require_dump_privileges(control, options_.selection, databases, options_.users);
        Schema schema(control, options_.selection);
        unsigned threads = options_.threads != 0 ? options_.threads
                                                 : std::clamp(2 * cpu_count(), 4U, kMostThreads);
        SnapshotSessions snapshot = open_snapshot(options_.login, threads, schema.tables);
        result_.base.consistent_at = Clock::system().now();
        result_.base.position = snapshot.position;
        result_.commits_blocked = snapshot.commits_blocked;
        pin(*snapshot.sessions[0], schema);
        {
            // What was read before the snapshot must still be so. From here on the second reading
            // counts: nothing changed while it was made. Sequences go on without transactions:
            // their later state is ahead of all rows of the snapshot.
            Schema now(control, options_.selection);
            if (!schema.same_definitions(now)) throw ChangedMeanwhile("the schema changed");
            schema = std::move(now);
        }
        write_schema(control, schema);
        read_all_rows({options_, files_, schema.tables, result_.base.tables}, snapshot);
        describe(control, schema);
        warn(control, schema, snapshot.single);
        finish(control, databases);
        return std::move(result_);
    }

  private:
    // From here on no definition can change until the snapshot ends: others wait for us.
    void pin(MariadbConnection& session, const Schema& schema) {
        for (const TableInfo& table : schema.tables)
            if (table.transactional && !table.elsewhere) try {
                    session.query("SELECT 1 FROM " + quote_name(table.database, table.name) +
                                  " LIMIT 0");
                } catch (const sql::ServerError& error) {
                    throw_for_table(error, table);
                }
    }

    void add_file(const SqlFile& file) {
        files_.add(file.path, as_bytes(render(file.statements)));
        result_.base.schema_files.push_back(file.path);
    }

    void write_schema(MariadbConnection& control, const Schema& schema) {
        add_file(schema.create_databases);
        Users users;
        if (options_.users) {
            users = read_users(control);
            result_.base.objects["user"] = users.count;
            add_file(users.accounts);
        }
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
        if (!schema.broken.empty()) add_file(schema.broken_views);
        add_file(schema.triggers);
        add_file(schema.events);
        if (options_.users) add_file(users.grants);
    }

    void describe(MariadbConnection& control, const Schema& schema) {
        BaseManifest& base = result_.base;
        base.method = "logical";
        base.data_format = options_.format == RowFormat::tsv ? "tsv" : "sql";
        base.tool_version = "sevenfold " SEVENFOLD_VERSION;
        constexpr const char* kVariables[] = {"lower_case_table_names",
                                              "character_set_server",
                                              "collation_server",
                                              "innodb_page_size",
                                              "sql_mode",
                                              "max_allowed_packet"};
        describe_server(control, kVariables, base);
        base.objects["table"] = schema.tables.size();
        base.objects["view"] = schema.view_count;
        base.objects["trigger"] = schema.trigger_count;
        base.objects["function"] = schema.function_count;
        base.objects["procedure"] = schema.procedure_count;
        base.objects["event"] = schema.event_count;
        base.objects["sequence"] = schema.sequence_count;
    }

    void warn(MariadbConnection& control, const Schema& schema, bool single) {
        std::vector<std::string>& out = result_.warnings;
        if (single)
            out.push_back(
                "one session only: the account lacks RELOAD, which opening several needs");
        for (const TableInfo& table : schema.tables) {
            if (table.elsewhere && table.engine != "MRG_MyISAM")
                out.push_back(
                    fmt::format("table {}: engine {} keeps its rows elsewhere, only its "
                                "definition is in the base",
                                table.display(), table.engine));
            if (table.history_lost)
                out.push_back(
                    fmt::format("table {}: its history is by transaction and cannot be "
                                "loaded again, the base has the rows of now",
                                table.display()));
        }
        for (const std::string& view : schema.broken)
            out.push_back(
                fmt::format("view {} cannot be read on the server: it names something that is "
                            "missing",
                            view));
        for (const std::string& table :
             tables_only_innodb_knows(control, options_.selection, schema))
            out.push_back(
                fmt::format("InnoDB has a table {} that the server does not show", table));
        for (std::string& what : left_out(control)) out.push_back(std::move(what));
    }

    void finish(MariadbConnection& control, const std::vector<std::string>& databases) {
        ObjectCounts counted =
            count_objects(control, options_.selection, databases, options_.users);
        for (const auto& [kind, count] : counted)
            if (result_.base.objects[kind] != count)
                throw ChangedMeanwhile(
                    fmt::format("the dump holds {} of kind {}, the server {}",
                                result_.base.objects[kind], kind, count),
                    "Run it again when no migration is running; if it stays so, the account's "
                    "rights are too small: `sevenfold db grants`.");
        result_.base.ended = Clock::system().now();
        files_.add("load.sql", as_bytes(load_script(result_.base)));
        files_.add("README", as_bytes(readme(result_.base)));
        files_.add("base.json", as_bytes(encode_base(result_.base)));
    }

    const DumpOptions& options_;
    BaseFiles& files_;
    DumpResult result_;
};

}  // namespace

DumpResult dump(const DumpOptions& options, repository::TreeWriter& tree) {
    for (unsigned attempt = 1;; ++attempt) {
        BaseFiles files(tree);
        try {
            try {
                return Dumper(options, files).run();
            } catch (const sql::ServerError& error) {
                if (is_change(error)) throw ChangedMeanwhile(error.message());
                throw;
            }
        } catch (const ChangedMeanwhile& change) {
            files.remove_all();
            if (attempt >= options.attempts || options.stop.stop_requested()) throw;
            log_info("{}; the dump begins anew", change.message());
        }
    }
}

}  // namespace sevenfold::database::mariadb
