#include "protect/database_history.h"

#include <fmt/format.h>

#include <map>

#include "core/log.h"
#include "os/file.h"
#include "protect/second_spool.h"

namespace sevenfold::protect {
namespace {

using database::LoggedChange;

std::vector<std::string> key_of(const LoggedChange& change, const std::vector<std::string>& names,
                                bool after) {
    std::vector<std::string> key;
    for (const std::string& name : names)
        for (const LoggedChange::Value& value : change.values)
            if (value.column == name)
                key.push_back((after ? value.after : value.before).value_or("NULL"));
    return key;
}

bool is_same(const RowDifference& row) {
    return std::ranges::all_of(
        row.values, [](const LoggedChange::Value& value) { return value.before == value.after; });
}

// Folds the changes of one row: the first image before, the last image after.
class Folder {
  public:
    explicit Folder(const std::vector<std::string>& key) : key_(key) {}

    void add(const LoggedChange& change) {
        bool insert = change.kind == LoggedChange::Kind::insert;
        bool remove = change.kind == LoggedChange::Kind::remove;
        std::vector<std::string> before =
            insert ? std::vector<std::string>() : key_of(change, key_, false);
        std::vector<std::string> after =
            remove ? std::vector<std::string>() : key_of(change, key_, true);
        if (!insert) fold(before, change, !remove && before == after);
        if (!remove && (insert || before != after)) arrive(after, change);
    }

    std::vector<RowDifference> take() {
        std::vector<RowDifference> out;
        for (auto& [key, values] : rows_) {
            RowDifference row{key, std::move(values)};
            if (!is_same(row)) out.push_back(std::move(row));
        }
        return out;
    }

  private:
    // A row that was there: it stays with new values, or leaves this key.
    void fold(const std::vector<std::string>& key, const LoggedChange& change, bool stays) {
        auto [at, first] = rows_.try_emplace(key, change.values);
        for (size_t i = 0; i < at->second.size() && i < change.values.size(); ++i)
            at->second[i].after = stays ? change.values[i].after : std::nullopt;
    }
    void arrive(const std::vector<std::string>& key, const LoggedChange& change) {
        auto [at, first] = rows_.try_emplace(key, change.values);
        for (size_t i = 0; i < at->second.size() && i < change.values.size(); ++i) {
            if (first) at->second[i].before.reset();
            at->second[i].after = change.values[i].after;
        }
    }

    const std::vector<std::string>& key_;
    std::map<std::vector<std::string>, std::vector<LoggedChange::Value>> rows_;
};

}  // namespace

DatabaseHistory open_history(const config::AppConfig& config,
                             const config::DatabaseConfig& database, std::vector<JobPlace> places,
                             const std::string& only) {
    DatabaseHistory out;
    out.places = std::move(places);
    std::vector<std::unique_ptr<database::LogArchive>> archives;
    if (only.empty()) archives.push_back(database::open_log_folder(spool_folder(config, database)));
    std::optional<Error> problem;
    for (JobPlace& place : out.places) {
        if (!only.empty() && place.name != only) continue;
        try {
            if (place.error) throw *place.error;
            std::vector<Error> damaged;  // what they held may be in others too
            archives.push_back(database::open_log_snapshots(
                *place.repository, list_database(*place.repository, database.name, &damaged).logs));
        } catch (const Error& error) {
            log_warning("place {}: {}", place.name, error.message());
            problem = error;
        }
    }
    // Those not wanted do not bring their second spool either.
    std::vector<JobPlace> wanted = out.places;
    if (!only.empty()) std::erase_if(wanted, [&](const auto& place) { return place.name != only; });
    out.logs = join_with_second_spool(config, database, wanted, std::move(archives));
    if (out.logs->segments().empty()) {
        if (problem) throw *problem;
        throw Error(ErrorKind::not_found,
                    fmt::format("there is no binlog of database {}", database.name),
                    "The stream brings it: stream = true, and `sevenfold stream` must run.");
    }
    out.timeline =
        database::open_timeline(database.driver, timeline_file(config, database), *out.logs);
    out.timeline->update();
    return out;
}

std::string timeline_file(const config::AppConfig& config, const config::DatabaseConfig& database) {
    std::string folder = config.app.state_dir + "/timeline";
    os::make_dirs(folder);
    return folder + "/" + database.name + ".sqlite";
}

PastServer::PastServer(const config::AppConfig& config, const config::DatabaseConfig& database,
                       const std::vector<JobPlace>& places, DatabaseRestoreOptions options)
    : folder_(config, database) {
    options.data_dir = folder_ / "data";
    how_ = restore_database(config, database, places, options);
    instance_ = database::make_driver(database.driver, {})
                    ->start({.data_dir = options.data_dir, .memory = options.memory});
}

database::ServerLogin PastServer::login() const { return instance_->login(); }

TableDifference diff_table(database::Timeline& timeline, const std::string& table,
                           const std::vector<std::string>& key, const std::string& from,
                           const std::string& to, const database::ServerLogin* server) {
    database::LoggedTransaction first = timeline.find(from), last = timeline.find(to);
    TableDifference out;
    Folder folder(key);
    database::TimelineQuery query{.from = first.time,
                                  .to = last.time,
                                  .tables = {table},
                                  .limit = SIZE_MAX,
                                  .newest_first = false};
    for (const database::LoggedTransaction& transaction : timeline.query(query)) {
        auto where = std::tie(transaction.file, transaction.offset);
        if (where <= std::tie(first.file, first.offset) || where > std::tie(last.file, last.offset))
            continue;
        out.ddl = out.ddl || transaction.ddl;
        ++out.transactions;
        timeline.changes(transaction.id, server, [&](const LoggedChange& change) {
            if (change.table != table) return true;
            ++out.changes;
            folder.add(change);
            return true;
        });
    }
    out.rows = folder.take();
    return out;
}

}  // namespace sevenfold::protect
