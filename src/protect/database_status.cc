#include "protect/database_status.h"

#include <algorithm>

#include "core/parallel.h"
#include "protect/second_spool.h"

namespace sevenfold::protect {
namespace {

// More of the log is not read to learn where it ends: then the newest point counts.
constexpr uint64_t kMostRead = 256 << 20;

struct Found {
    std::vector<RecoverableInterval> intervals;
    database::Position newest;  // of the last base or point
    std::string kind;
};

// Bases that the binlog joins are one interval; points prolong the one of their base.
Found find_intervals(const database::Driver& driver, const std::vector<StoredBase>& bases,
                     const std::vector<StoredPoint>& points, const database::LogArchive& logs) {
    Found found;
    std::vector<RecoverableInterval>& out = found.intervals;
    for (size_t i = 0; i < bases.size(); ++i) {
        const database::BaseManifest& base = bases[i].manifest;
        bool joined =
            i > 0 && !driver.missing_between(logs, bases[i - 1].manifest.position, base.position);
        if (!joined)
            out.push_back({base.consistent_at, base.consistent_at, base.position.gtid, "", 0, 0});
        RecoverableInterval& interval = out.back();
        // What is prepared is the same base once more.
        if (!joined || base.position != bases[i - 1].manifest.position) ++interval.bases;
        interval.to = std::max(interval.to, base.consistent_at);
        interval.to_gtid = base.position.gtid;
        found.newest = base.position;
        found.kind = "base";
        for (const StoredPoint& point : points) {
            if (point.manifest.base != bases[i].snapshot.id.hex()) continue;
            ++interval.points;
            if (point.manifest.time < interval.to) continue;
            interval.to = point.manifest.time;
            interval.to_gtid = point.manifest.position.gtid;
            found.newest = point.manifest.position;
            found.kind = "point";
        }
    }
    return found;
}

// What the log has after the newest base or point.
void prolong(const database::Driver& driver, const database::LogArchive& logs, Found& found) {
    auto end = driver.log_end(logs, found.newest, kMostRead);
    if (!end) return;
    RecoverableInterval& interval = found.intervals.back();
    interval.to_gtid = end->position.gtid;
    if (end->time < interval.to) return;
    interval.to = end->time;
    found.kind = "log";
}

DatabaseCopy look_at(const config::AppConfig& config, const config::DatabaseConfig& database,
                     const config::PlaceConfig& place, const JobPlace& opened, const Time& now) {
    DatabaseCopy copy;
    copy.place = place.name;
    copy.domain = place.failure_domain();
    copy.error = opened.error;
    if (!copy.error) {
        try {
            auto driver = database::make_driver(database.driver, {});
            DatabaseSnapshots snapshots =
                list_database(*opened.repository, database.name, &copy.damaged);
            auto bases = read_bases(*opened.repository, snapshots, &copy.damaged);
            auto points = read_points(*opened.repository, snapshots, &copy.damaged);
            std::vector<std::unique_ptr<database::LogArchive>> archives;
            archives.push_back(database::open_log_snapshots(*opened.repository, snapshots.logs));
            auto logs = join_with_second_spool(config, database, {opened}, std::move(archives));
            Found found = find_intervals(*driver, bases, points, *logs);
            if (database.stream && !bases.empty()) prolong(*driver, *logs, found);
            copy.intervals = std::move(found.intervals);
            if (!bases.empty()) {
                copy.method = bases.back().manifest.method;
                const StoredBase* whole = find_whole(bases, bases.back());
                copy.bytes = bases.back().bytes() + (whole ? whole->bytes() : 0);
                copy.log_bytes =
                    driver->log_bytes(*logs, bases.back().manifest.position, found.newest);
                copy.newest = copy.intervals.back().to;
                copy.newest_gtid = copy.intervals.back().to_gtid;
                copy.newest_kind = found.kind;
            }
        } catch (...) {
            copy.error = current_error();
        }
    }
    copy.judge(copy.newest, allowed_age(database.every), now);
    return copy;
}

}  // namespace

std::vector<DatabaseStatus> get_database_status(const config::AppConfig& config,
                                                const std::vector<JobPlace>& places,
                                                catalog::Catalog* catalog, const Time& now) {
    std::vector<DatabaseStatus> out;
    for (const config::DatabaseConfig& database : config.databases) {
        DatabaseStatus status{.name = database.name, .allowed_age = allowed_age(database.every)};
        status.copies.resize(database.places.size());
        parallel_for(database.places.size(), 8, [&](size_t i) {
            const config::PlaceConfig& place = config.place(database.places[i]);
            auto number = static_cast<size_t>(&place - config.places.data());
            status.copies[i] = look_at(config, database, place, places[number], now);
        });
        for (DatabaseCopy& copy : status.copies) {
            copy.note_run(catalog, database.name);
            if (copy.newest)
                copy.restore = predict_restore(catalog, database.name, copy.method, copy.bytes,
                                               copy.log_bytes);
        }
        status.good_domains = domains_of_good(status.copies);
        status.holds = status.good_domains.size() >= 2;
        out.push_back(std::move(status));
    }
    return out;
}

}  // namespace sevenfold::protect
