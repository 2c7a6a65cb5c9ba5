#include "database/mariadb/load/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <span>

#include "core/parallel.h"
#include "database/layout.h"
#include "database/mariadb/dump/internal/sql_text.h"
#include "database/mariadb/dump/plain_tools.h"
#include "database/mariadb/dump/ranges.h"
#include "database/mariadb/dump/rows.h"
#include "database/mariadb/load/internal/base_reader.h"
#include "database/mariadb/load/internal/rename.h"
#include "database/mariadb/load/internal/session.h"
#include "database/mariadb/load/late_keys.h"

namespace sevenfold::database::mariadb {
namespace {

using repository::Repository;
using sql::MariadbConnection;
using sql::quote_name;

constexpr unsigned kMostThreads = 8;
constexpr uint64_t kSmall = 1 << 20;         // bytes of rows for which late keys gain nothing
constexpr uint64_t kVerifyPiece = 64 << 20;  // tables are read again in pieces of about this size

// A pattern that only this name matches.
std::string exactly(const std::string& name) {
    std::string out;
    for (char c : name) {
        if (c == '*' || c == '?' || c == '[' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string display(const TableContent& table) {
    return "table " + table.database + "." + table.name;
}

class Loader {
  public:
    Loader(const LoadOptions& options, const Repository& repository, const Id& tree)
        : options_(options),
          base_(decode_base(load_file(repository, tree, "base.json"))),
          files_(repository, tree) {
        if (base_.method != "logical")
            throw Error(ErrorKind::usage, "this base is not a logical one");
        for (const TableContent& table : base_.tables)
            if (chosen_database(table.database) &&
                (options.tables.empty() ||
                 matches(options.tables, table.database + "." + table.name)))
                tables_.push_back(&table);
        if (tables_.empty() && !options.tables.empty())
            throw Error(ErrorKind::not_found, fmt::format("no table of the base matches {}",
                                                          fmt::join(options.tables, ", ")));
    }

    LoadResult run() {
        MariadbConnection control(options_.login);
        prepare_session(control, options_);
        result_.warnings = server_differences(control, base_);
        make_databases(control);
        if (options_.users) make_accounts(control);
        make_sequences(control);
        make_tables(control);
        load_rows(control);
        in_sessions(tables_.size(),
                    [&](MariadbConnection& session, size_t t) { add_foreign_keys(session, t); });
        if (options_.verify) verify();
        if (options_.programs) make_programs(control);
        if (options_.users) run_file(control, "90-grants.sql", true);
        result_.tables = tables_.size();
        return std::move(result_);
    }

  private:
    bool chosen_database(const std::string& database) const {
        return options_.databases.empty() || matches(options_.databases, database);
    }
    std::string new_name(const std::string& database) const {
        auto at = options_.rename.find(database);
        return at == options_.rename.end() ? database : at->second;
    }
    std::string new_table(const TableContent& table) const {
        return quote_name(new_name(table.database), table.name);
    }

    void warn(std::string text) {
        std::lock_guard lock(mutex_);
        result_.warnings.push_back(std::move(text));
    }

    // Statements of a file after a USE of a database that was not chosen are left out. `lenient`:
    // an account that exists already, a right that the server does not know, or a view of what is
    // not there is noted.
    void run_file(MariadbConnection& session, const std::string& path, bool lenient = false) {
        bool wanted = true, ansi_quotes = false;
        for (const std::string& statement : files_.statements(path)) {
            check_stop();
            if (statement.starts_with("SET SESSION sql_mode="))
                ansi_quotes = statement.find("ANSI_QUOTES") != statement.npos;
            constexpr std::string_view kUse = "USE `";
            if (statement.starts_with(kUse)) {
                size_t at = kUse.size() - 1;
                wanted = chosen_database(read_quoted(statement, at));
            }
            if (!wanted || is_for_others(statement)) continue;
            try {
                session.execute(rename_databases(statement, options_.rename, ansi_quotes));
            } catch (const sql::ServerError& error) {
                if (!lenient) throw error.with_context(path);
                // Only the installer's own root can give it, and every server has it from there.
                if (statement.starts_with("GRANT PROXY ON ``@`%` TO `root`")) continue;
                warn(error.message());
            }
        }
        prepare_session(session, options_);  // what the file set
    }

    // Accounts that are there already stay as they are, with the rights that they have.
    void make_accounts(MariadbConnection& control) {
        for (const sql::Row& row : control.query("SELECT user, host, is_role FROM mysql.user"))
            if (*row[0] != "PUBLIC")
                old_accounts_.push_back(quote_name(*row[0]) +
                                        (*row[2] == "Y" ? "" : "@" + quote_name(*row[1])));
        run_file(control, "15-accounts.sql", true);
    }
    bool is_for_others(const std::string& statement) const {
        if (!statement.starts_with("GRANT ") && !statement.starts_with("SET DEFAULT ROLE "))
            return false;
        return std::ranges::any_of(old_accounts_, [&](const std::string& account) {
            for (const char* word : {" TO ", " FOR "}) {
                size_t at = statement.rfind(word + account);
                size_t end = at + strlen(word) + account.size();
                if (at != statement.npos && (end == statement.size() || statement[end] == ' '))
                    return true;
            }
            return false;
        });
    }

    void make_databases(MariadbConnection& control) {
        std::vector<std::string> there;
        for (const sql::Row& row : control.query("SHOW DATABASES")) there.push_back(*row[0]);
        for (const std::string& statement : files_.statements("10-databases.sql")) {
            constexpr std::string_view kCreate = "CREATE DATABASE `";
            if (!statement.starts_with(kCreate)) {
                control.execute(statement);
                continue;
            }
            size_t at = kCreate.size() - 1;
            std::string old = read_quoted(statement, at), name = new_name(old);
            if (!wanted_database(old)) continue;
            if (std::ranges::find(there, name) == there.end())
                control.execute(rename_databases(statement, options_.rename));
            else if (!options_.reuse_databases)
                throw Error(ErrorKind::exists,
                            fmt::format("the server has a database {} already", name),
                            "Load into an empty server, or under another name.");
        }
        prepare_session(control, options_);
    }

    bool wanted_database(const std::string& old) const {
        if (options_.tables.empty()) return chosen_database(old);
        return std::ranges::any_of(tables_,
                                   [&](const auto* table) { return table->database == old; });
    }

    void make_sequences(MariadbConnection& control) {
        const std::string path = "20-sequences.sql";
        if (options_.tables.empty()) return run_file(control, path);
        // Only those that give a chosen table its defaults: USE, CREATE SEQUENCE, SETVAL.
        std::string definitions;
        for (const TableContent* table : tables_)
            for (const std::string& text :
                 files_.statements(table_file(table->database, table->name)))
                if (text.find("nextval(") != text.npos) definitions += text;
        std::vector<std::string> all = files_.statements(path);
        for (size_t i = 0; i + 2 < all.size(); ++i) {
            size_t at = 0;
            if (!all[i].starts_with("USE `") || (at = all[i + 2].find('`')) == std::string::npos)
                continue;
            std::string name = all[i + 2].substr(at, all[i + 2].find(", ", at) - at);
            if (definitions.find(name) == definitions.npos) continue;
            if (!control
                     .query(fmt::format("SHOW TABLES FROM {} LIKE {}",
                                        rename_databases(all[i], options_.rename).substr(4),
                                        sql::quote_text(name.substr(name.find("`.`") + 2))))
                     .empty())
                continue;
            for (size_t n = i; n < i + 3; ++n)
                control.execute(rename_databases(all[n], options_.rename));
        }
    }

    void make_tables(MariadbConnection& control) {
        split_.resize(tables_.size());
        for (size_t t = 0; t < tables_.size(); ++t) {
            check_stop();
            const TableContent& table = *tables_[t];
            for (const std::string& statement :
                 files_.statements(table_file(table.database, table.name))) {
                std::string text = rename_databases(statement, options_.rename);
                if (text.starts_with("CREATE TABLE")) {
                    split_[t] = split_table(text, data_size(table) < kSmall);
                    text = split_[t].create;
                }
                try {
                    control.execute(text);
                } catch (const sql::ServerError& error) {
                    constexpr unsigned kCannotCreate = 1005;
                    Error out = loading_error(error, display(table));
                    if (error.number == kCannotCreate && text.find("ENCRYPTED") != text.npos)
                        out = out.with_hint(
                            "The table asks for encryption: restore into a running server that "
                            "has the keys, with --server.");
                    throw Error(out);
                }
            }
        }
        prepare_session(control, options_);
    }

    uint64_t data_size(const TableContent& table) const {
        uint64_t size = 0;
        for (const std::string& path : table.files) size += files_.file(path).size;
        return size;
    }

    // What one session loads at a stretch.
    struct Portion {
        size_t table = 0;
        std::span<const std::string> paths;
        uint64_t size = 0;
    };

    // The server lets one LOAD DATA at a time into a table with a counter, unless it was started
    // with innodb_autoinc_lock_mode=2: such a table is one portion. Every other file is its own.
    std::vector<Portion> portions(bool counters_interleave) const {
        std::vector<Portion> out;
        for (size_t t = 0; t < tables_.size(); ++t) {
            std::span<const std::string> files = tables_[t]->files;
            size_t step = split_[t].counter && !counters_interleave ? files.size() : 1;
            for (size_t i = 0; i < files.size(); i += step) {
                Portion& portion = out.emplace_back();
                portion.table = t;
                portion.paths = files.subspan(i, step);
                for (const std::string& path : portion.paths)
                    portion.size += files_.file(path).size;
            }
        }
        return out;
    }

    // Over several sessions, the largest portions first. Who loads a table's last file adds its
    // keys, while the others go on.
    void load_rows(MariadbConnection& control) {
        std::vector<Portion> work =
            portions(control.value("SELECT @@global.innodb_autoinc_lock_mode") == "2");
        std::ranges::stable_sort(work, std::greater<>(), &Portion::size);
        std::vector<std::atomic<uint64_t>> rows(tables_.size());
        std::vector<std::atomic<size_t>> left(tables_.size());
        for (size_t t = 0; t < tables_.size(); ++t) left[t] = tables_[t]->files.size();
        if (options_.progress) {
            for (const Portion& portion : work) {
                options_.progress->items_total += portion.paths.size();
                options_.progress->bytes_total += portion.size;
            }
            options_.progress->totals_known = true;
        }
        in_sessions(work.size(), [&](MariadbConnection& session, size_t i) {
            const size_t t = work[i].table;
            for (const std::string& path : work[i].paths) {
                rows[t] += load_piece(session, *tables_[t], path);
                if (options_.progress) ++options_.progress->items_done;
            }
            if ((left[t] -= work[i].paths.size()) == 0) add_keys(session, t);
        });
        for (size_t t = 0; t < tables_.size(); ++t) {
            result_.rows += rows[t];
            if (rows[t] != tables_[t]->rows)
                throw Error(ErrorKind::corrupt,
                            fmt::format("{}: {} rows arrived, the base has {}",
                                        display(*tables_[t]), rows[t].load(), tables_[t]->rows));
            if (tables_[t]->files.empty()) add_keys(control, t);
        }
    }

    uint64_t load_piece(MariadbConnection& session, const TableContent& table,
                        const std::string& path) {
        FileStream stream(files_, path, options_.stop);
        std::string database = new_name(table.database);
        if (options_.progress) options_.progress->set_current(database + "." + table.name);
        try {
            if (table.versioned) session.execute("SET SESSION system_versioning_insert_history=1");
            if (base_.data_format == "sql") return run_inserts(session, table, stream);
            uint64_t rows = session.load_local(load_statement(database, table, path),
                                               [&](char* to, size_t size) {
                                                   size_t n = stream.read(to, size);
                                                   if (options_.progress)
                                                       options_.progress->bytes_done += n;
                                                   return n;
                                               });
            if (session.warning_count() != 0) note_warnings(session, table);
            return rows;
        } catch (const sql::ServerError& error) {
            throw loading_error(error, fmt::format("{}, {}", display(table), path));
        }
    }

    // Values that the server did not take as they are. It does not refuse them, as the base may
    // hold what is not allowed any more: dates of zeros, broken texts.
    void note_warnings(MariadbConnection& session, const TableContent& table) {
        unsigned count = session.warning_count();
        auto rows = session.query("SHOW WARNINGS LIMIT 1");
        warn(fmt::format("{}: {} warning(s), the first: {}", display(table), count,
                         rows.empty() ? "" : rows[0].at(2).value_or("")));
    }

    uint64_t run_inserts(MariadbConnection& session, const TableContent& table,
                         FileStream& stream) {
        std::string statement, part(64 << 10, 0);
        uint64_t rows = 0;
        const std::string old = "INSERT INTO " + quote_name(table.database, table.name) + " ";
        const std::string now = "INSERT INTO " + new_table(table) + " ";
        auto finish = [&](std::string_view text) {
            if (!text.starts_with(old))
                throw Error(ErrorKind::corrupt, display(table) + ": a data file holds another one");
            check_stop();
            rows += session.execute(now + std::string(text.substr(old.size())));
        };
        while (size_t n = stream.read(part.data(), part.size())) {
            if (options_.progress) options_.progress->bytes_done += n;
            size_t from = statement.empty() ? 0 : statement.size() - 1;
            statement.append(part, 0, n);
            // Values hold no line break: what is not plain ASCII stands in hexadecimal.
            for (size_t at; (at = statement.find(";\n", from)) != statement.npos; from = 0) {
                finish(std::string_view(statement).substr(0, at));
                statement.erase(0, at + 2);
            }
        }
        if (!statement.empty())
            throw Error(ErrorKind::corrupt,
                        display(table) + ": a data file ends inside of a statement");
        return rows;
    }

    void alter(MariadbConnection& session, size_t t, const std::string& change) {
        try {
            session.execute("ALTER TABLE " + new_table(*tables_[t]) + " " + change);
        } catch (const sql::ServerError& error) {
            throw loading_error(error, display(*tables_[t]));
        }
    }
    void add_keys(MariadbConnection& session, size_t t) {
        if (!split_[t].keys.empty())
            alter(session, t, fmt::format("{}", fmt::join(split_[t].keys, ", ")));
        for (const std::string& key : split_[t].full_text) alter(session, t, key);
    }
    void add_foreign_keys(MariadbConnection& session, size_t t) {
        if (split_[t].foreign_keys.empty()) return;
        session.execute("USE " + quote_name(new_name(tables_[t]->database)));
        alter(session, t, fmt::format("{}", fmt::join(split_[t].foreign_keys, ", ")));
    }

    // Reads what the server has now, in the way the dump reads.
    void verify() {
        MariadbConnection control(options_.login);
        Selection selection;
        for (const TableContent* table : tables_)
            selection.databases.push_back(exactly(new_name(table->database)));
        std::ranges::sort(selection.databases);
        selection.databases.erase(
            std::unique(selection.databases.begin(), selection.databases.end()),
            selection.databases.end());
        std::map<std::pair<std::string, std::string>, const TableInfo*> by_name;
        std::vector<TableInfo> now;
        if (!tables_.empty()) now = std::move(Schema(control, selection).tables);
        for (const TableInfo& table : now) by_name[{table.database, table.name}] = &table;
        struct Part {
            size_t table;
            const TableInfo* info;
            std::string condition;
        };
        std::vector<Part> parts;
        for (size_t t = 0; t < tables_.size(); ++t) {
            const TableContent& table = *tables_[t];
            auto at = by_name.find({new_name(table.database), table.name});
            if (at == by_name.end() || table.files.empty()) continue;
            std::vector<std::string> conditions = {""};
            if (table.files.size() > 1)
                conditions = cut_table(*at->second, kVerifyPiece, [&](const std::string& query) {
                    return control.query(query);
                });
            for (std::string& condition : conditions)
                parts.push_back({t, at->second, std::move(condition)});
        }
        std::vector<std::atomic<uint64_t>> rows(tables_.size()), checksums(tables_.size());
        in_sessions(parts.size(), [&](MariadbConnection& session, size_t i) {
            prepare_for_rows(session);
            uint64_t checksum = 0;
            rows[parts[i].table] +=
                read_rows(session, *parts[i].info, parts[i].condition, RowFormat::tsv, checksum,
                          [&](ByteView) { check_stop(); });
            checksums[parts[i].table] += checksum;
        });
        for (size_t t = 0; t < tables_.size(); ++t) {
            const TableContent& table = *tables_[t];
            if (rows[t] != table.rows || checksums[t] != table.checksum)
                throw Error(ErrorKind::corrupt,
                            fmt::format("{} differs from the base: {} rows with checksum {:016x}, "
                                        "not {} with {:016x}",
                                        display(table), rows[t].load(), checksums[t].load(),
                                        table.rows, table.checksum));
        }
        result_.verified_tables = tables_.size();
    }

    void make_programs(MariadbConnection& control) {
        if (!options_.tables.empty()) {
            warn("triggers, views and routines were left out: only tables were asked for");
            return;
        }
        run_file(control, "50-routines.sql");
        run_file(control, "60-views.sql");
        run_file(control, "65-broken-views.sql", true);
        run_file(control, "70-triggers.sql");
        run_file(control, "80-events.sql");
    }

    void in_sessions(size_t count, const std::function<void(MariadbConnection&, size_t)>& body) {
        unsigned threads =
            options_.threads != 0 ? options_.threads : std::clamp(cpu_count(), 2U, kMostThreads);
        threads = static_cast<unsigned>(std::min<size_t>(threads, count));
        std::atomic<size_t> next{0};
        ThreadGroup group;
        for (unsigned i = 0; i < threads; ++i)
            group.start([&](std::stop_token stop) {
                MariadbConnection session(options_.login);
                prepare_session(session, options_);
                for (size_t n; !stop.stop_requested() && (n = next++) < count;) {
                    check_stop();
                    body(session, n);
                }
            });
        group.wait();
    }

    void check_stop() const {
        if (options_.stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
    }

    const LoadOptions& options_;
    const BaseManifest base_;
    const BaseReader files_;
    std::vector<const TableContent*> tables_;
    std::vector<SplitTable> split_;
    std::vector<std::string> old_accounts_;  // as they stand in GRANT
    std::mutex mutex_;                       // guards result_ while sessions run
    LoadResult result_;
};

}  // namespace

LoadResult load(const LoadOptions& options, const Repository& repository, const Id& tree) {
    return Loader(options, repository, tree).run();
}

}  // namespace sevenfold::database::mariadb
