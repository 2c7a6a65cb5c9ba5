#include "database/mariadb/load/load.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "core/log.h"
#include "core/parallel.h"
#include "core/queue.h"
#include "database/layout.h"
#include "database/mariadb/dump/dump.h"
#include "database/mariadb/dump/plain_tools.h"
#include "database/mariadb/load/late_keys.h"
#include "repository/dump.h"

namespace sevenfold::database::mariadb {
namespace {

using repository::Repository;
using sql::MariadbConnection;
using sql::quote_name;

constexpr unsigned kMostThreads = 8;

bool chosen(const LoadOptions& options, const TableContent& table) {
    std::string name = table.database + "." + table.name;
    return options.tables.empty() ||
           std::ranges::any_of(options.tables, [&](const std::string& pattern) {
               return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
           });
}

// A file of the repository as a stream that another thread fills. Memory: 4 buffers of a blob each,
// at most 8 MiB, and what dump_file reads ahead.
class FileStream {
  public:
    FileStream(const Repository& repository, const Id& tree, const std::string& path,
               std::stop_token stop)
        : queue_(4), filler_([this, &repository, tree, path, stop](std::stop_token own) {
              try {
                  repository::Node node = find_file(repository, tree, path);
                  repository::dump_file(
                      repository, node,
                      [&](ByteView bytes) {
                          if (!queue_.push(to_bytes(bytes)) || own.stop_requested())
                              throw Error(ErrorKind::interrupted, "interrupted");
                      },
                      stop);
              } catch (...) {
                  failure_ = std::current_exception();
              }
              queue_.close();
          }) {}
    ~FileStream() { queue_.abandon(); }

    // At most `size` bytes; 0 at the end. Throws what reading threw.
    size_t read(char* to, size_t size) {
        while (at_ == current_.size()) {
            auto next = queue_.pop();
            if (!next) {
                filler_.join();
                if (failure_) std::rethrow_exception(failure_);
                return 0;
            }
            current_ = std::move(*next);
            at_ = 0;
        }
        size_t n = std::min(size, current_.size() - at_);
        memcpy(to, current_.data() + at_, n);
        at_ += n;
        return n;
    }

  private:
    BoundedQueue<Bytes> queue_;
    std::exception_ptr failure_;
    Bytes current_;
    size_t at_ = 0;
    std::jthread filler_;  // last: it uses all above
};

void prepare_session(MariadbConnection& session, const LoadOptions& options) {
    session.execute(
        "SET SESSION foreign_key_checks=0, unique_checks=0, check_constraint_checks=0, "
        "sql_mode='NO_AUTO_VALUE_ON_ZERO', time_zone='+00:00', innodb_strict_mode=0");
    if (!options.write_binlog) {
        try {
            session.execute("SET SESSION sql_log_bin=0");
        } catch (const sql::ServerError& error) {
            if (session.value("SELECT @@global.log_bin") == "1")
                throw error.with_hint(
                    "Loading must not go into the server's own binlog: give the "
                    "account BINLOG ADMIN, or ask for it to be logged.");
        }
    }
}

class Loader {
  public:
    Loader(const LoadOptions& options, const Repository& repository, const Id& tree)
        : options_(options), repository_(repository), tree_(tree) {
        base_ = decode_base(load_file(repository, tree, "base.json"));
        if (base_.method != "logical")
            throw Error(ErrorKind::usage, "this base is not a logical one");
        for (const TableContent& table : base_.tables)
            if (chosen(options, table)) tables_.push_back(&table);
        if (tables_.empty() && !options.tables.empty())
            throw Error(ErrorKind::not_found, fmt::format("no table of the base matches {}",
                                                          fmt::join(options.tables, ", ")));
    }

    LoadResult run() {
        MariadbConnection control(options_.login);
        prepare_session(control, options_);
        make_databases(control);
        if (options_.tables.empty()) run_file(control, "20-sequences.sql");
        make_tables(control);
        load_rows();
        for_each_table([&](MariadbConnection& session, size_t t) { add_keys(session, t, true); });
        for_each_table([&](MariadbConnection& session, size_t t) { add_keys(session, t, false); });
        if (options_.verify) verify();
        if (options_.programs) make_programs(control);
        if (options_.users) run_file(control, "90-users.sql", true);
        result_.tables = tables_.size();
        return std::move(result_);
    }

  private:
    std::string new_name(const std::string& database) const {
        auto at = options_.rename.find(database);
        return at == options_.rename.end() ? database : at->second;
    }

    std::vector<std::string> statements(const std::string& path) const {
        return split_statements(as_text(load_file(repository_, tree_, path)));
    }

    // "USE `shop`" and CREATE DATABASE go to the new name.
    std::string renamed(const std::string& statement) const {
        for (const auto& [old, name] : options_.rename) {
            if (statement == "USE " + quote_name(old)) return "USE " + quote_name(name);
            std::string create = "CREATE DATABASE " + quote_name(old);
            if (statement.starts_with(create + " "))
                return "CREATE DATABASE " + quote_name(name) + statement.substr(create.size());
        }
        return statement;
    }

    // `lenient`: an account that exists already, or a right that the server does not know, is
    // noted.
    void run_file(MariadbConnection& session, const std::string& path, bool lenient = false) {
        bool listed = std::ranges::find(base_.schema_files, path) != base_.schema_files.end();
        if (!listed) return;
        for (const std::string& statement : statements(path)) {
            check_stop();
            try {
                session.execute(renamed(statement));
            } catch (const sql::ServerError& error) {
                if (!lenient) throw error.with_context(path);
                result_.warnings.push_back(error.message());
            }
        }
        prepare_session(session, options_);  // what the file set
    }

    void make_databases(MariadbConnection& control) {
        std::vector<std::string> there;
        for (const sql::Row& row : control.query("SHOW DATABASES")) there.push_back(*row[0]);
        for (const std::string& statement : statements("10-databases.sql")) {
            constexpr std::string_view kCreate = "CREATE DATABASE `";
            std::string text = renamed(statement);
            if (!text.starts_with(kCreate)) {
                control.execute(text);
                continue;
            }
            std::string name = text.substr(kCreate.size(), text.find("` ") - kCreate.size());
            for (size_t i = 0; (i = name.find("``", i)) != name.npos; ++i) name.erase(i, 1);
            if (!wanted_database(name)) continue;
            if (std::ranges::find(there, name) == there.end())
                control.execute(text);
            else if (!options_.reuse_databases)
                throw Error(ErrorKind::exists,
                            fmt::format("the server has a database {} already", name),
                            "Load into an empty server, or under another name.");
        }
    }

    bool wanted_database(const std::string& name) const {
        return options_.tables.empty() || std::ranges::any_of(tables_, [&](const auto* table) {
                   return new_name(table->database) == name;
               });
    }

    void make_tables(MariadbConnection& control) {
        split_.resize(tables_.size());
        for (size_t t = 0; t < tables_.size(); ++t) {
            check_stop();
            const TableContent& table = *tables_[t];
            for (const std::string& statement :
                 statements(table_file(table.database, table.name))) {
                std::string text = renamed(statement);
                if (text.starts_with("CREATE TABLE")) {
                    split_[t] = split_table(text);
                    text = split_[t].create;
                }
                try {
                    control.execute(text);
                } catch (const sql::ServerError& error) {
                    throw error.with_context("table " + table.database + "." + table.name);
                }
            }
        }
        prepare_session(control, options_);
    }

    // Pieces of all tables, the tables with the most first, over several sessions.
    void load_rows() {
        struct Piece {
            size_t table;
            std::string path;
        };
        std::vector<size_t> order(tables_.size());
        for (size_t t = 0; t < order.size(); ++t) order[t] = t;
        std::ranges::stable_sort(order, std::greater<>(),
                                 [&](size_t t) { return tables_[t]->files.size(); });
        std::vector<Piece> pieces;
        for (size_t t : order)
            for (const std::string& path : tables_[t]->files) pieces.push_back({t, path});
        if (options_.progress) options_.progress->items_total = pieces.size();
        std::vector<std::atomic<uint64_t>> rows(tables_.size());
        in_sessions(pieces.size(), [&](MariadbConnection& session, size_t i) {
            rows[pieces[i].table] += load_piece(session, *tables_[pieces[i].table], pieces[i].path);
            if (options_.progress) ++options_.progress->items_done;
        });
        for (size_t t = 0; t < tables_.size(); ++t) {
            result_.rows += rows[t];
            if (rows[t] != tables_[t]->rows)
                throw Error(ErrorKind::corrupt,
                            fmt::format("table {}.{}: {} rows arrived, the base has {}",
                                        tables_[t]->database, tables_[t]->name, rows[t].load(),
                                        tables_[t]->rows));
        }
    }

    uint64_t load_piece(MariadbConnection& session, const TableContent& table,
                        const std::string& path) {
        FileStream stream(repository_, tree_, path, options_.stop);
        std::string database = new_name(table.database);
        if (options_.progress) options_.progress->set_current(database + "." + table.name);
        try {
            if (table.versioned) session.execute("SET SESSION system_versioning_insert_history=1");
            if (base_.data_format == "sql") return run_inserts(session, table, stream);
            return session.load_local(load_statement(database, table, path),
                                      [&](char* to, size_t size) {
                                          size_t n = stream.read(to, size);
                                          if (options_.progress) options_.progress->bytes_done += n;
                                          return n;
                                      });
        } catch (const sql::ServerError& error) {
            throw error.with_context(
                fmt::format("table {}.{}, {}", table.database, table.name, path));
        }
    }

    uint64_t run_inserts(MariadbConnection& session, const TableContent& table,
                         FileStream& stream) {
        session.execute("USE " + quote_name(new_name(table.database)));
        std::string statement, part(64 << 10, 0);
        uint64_t rows = 0;
        std::string old = "INSERT INTO " + quote_name(table.database, table.name) + " ";
        std::string now = "INSERT INTO " + quote_name(new_name(table.database), table.name) + " ";
        auto finish = [&](std::string_view text) {
            rows += session.execute(now + std::string(text.substr(old.size())));
        };
        while (size_t n = stream.read(part.data(), part.size())) {
            if (options_.progress) options_.progress->bytes_done += n;
            size_t from = statement.size() < 2 ? 0 : statement.size() - 2;
            statement.append(part, 0, n);
            // Values hold no line break: what is not plain ASCII stands in hexadecimal.
            for (size_t at; (at = statement.find(";\n", from)) != statement.npos; from = 0) {
                finish(std::string_view(statement).substr(0, at));
                statement.erase(0, at + 2);
            }
        }
        if (!statement.empty())
            throw Error(ErrorKind::corrupt, "a data file ends inside of a statement");
        return rows;
    }

    void add_keys(MariadbConnection& session, size_t t, bool own) {
        const TableContent& table = *tables_[t];
        std::string alter = "ALTER TABLE " + quote_name(new_name(table.database), table.name) + " ";
        try {
            if (!own) {
                if (!split_[t].foreign_keys.empty()) {
                    session.execute("USE " + quote_name(new_name(table.database)));
                    session.execute(
                        fmt::format("{}{}", alter, fmt::join(split_[t].foreign_keys, ", ")));
                }
                return;
            }
            if (!split_[t].keys.empty())
                session.execute(fmt::format("{}{}", alter, fmt::join(split_[t].keys, ", ")));
            for (const std::string& key : split_[t].full_text) session.execute(alter + key);
        } catch (const sql::ServerError& error) {
            throw error.with_context("table " + table.database + "." + table.name);
        }
    }

    // Reads what the server has now, in the way the dump reads.
    void verify() {
        MariadbConnection control(options_.login);
        Selection selection;
        for (const TableContent* table : tables_)
            selection.databases.push_back(new_name(table->database));
        std::ranges::sort(selection.databases);
        selection.databases.erase(
            std::unique(selection.databases.begin(), selection.databases.end()),
            selection.databases.end());
        Schema now(control, selection);
        std::map<std::pair<std::string, std::string>, const TableInfo*> by_name;
        for (const TableInfo& table : now.tables) by_name[{table.database, table.name}] = &table;
        for_each_table([&](MariadbConnection& session, size_t t) {
            const TableContent& table = *tables_[t];
            auto at = by_name.find({new_name(table.database), table.name});
            uint64_t checksum = 0, rows = 0;
            if (at != by_name.end()) {
                prepare_for_rows(session);
                rows = read_rows(session, *at->second, "", RowFormat::tsv, checksum,
                                 [&](ByteView) { check_stop(); });
            }
            if (rows != table.rows || checksum != table.checksum)
                throw Error(ErrorKind::corrupt,
                            fmt::format("table {}.{} differs from the base: {} rows with checksum "
                                        "{:016x}, not {} with {:016x}",
                                        table.database, table.name, rows, checksum, table.rows,
                                        table.checksum));
            ++verified_;
        });
        result_.verified_tables = verified_;
    }

    void make_programs(MariadbConnection& control) {
        if (options_.tables.empty()) {
            run_file(control, "50-routines.sql");
            run_file(control, "60-views.sql");
            run_file(control, "70-triggers.sql");
            run_file(control, "80-events.sql");
        } else {
            result_.warnings.push_back(
                "triggers, views and routines were left out: only tables "
                "were asked for");
        }
    }

    void for_each_table(const std::function<void(MariadbConnection&, size_t)>& body) {
        in_sessions(tables_.size(), body);
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
    const Repository& repository_;
    const Id tree_;
    BaseManifest base_;
    std::vector<const TableContent*> tables_;
    std::vector<SplitTable> split_;
    LoadResult result_;
    std::atomic<uint64_t> verified_{0};
};

}  // namespace

LoadResult load(const LoadOptions& options, const Repository& repository, const Id& tree) {
    return Loader(options, repository, tree).run();
}

}  // namespace sevenfold::database::mariadb
