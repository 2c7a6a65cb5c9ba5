#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "core/error.h"
#include "database/mariadb/timeline/timeline.h"
#include "database/mariadb/timeline/timeline_impl.h"

namespace sevenfold::database::mariadb {
namespace {

constexpr const char* kFromAll = "FROM txn JOIN file ON file.id = txn.file";

// Conditions with their parameters, in the order in which they stand.
struct Conditions {
    std::string sql = "1";
    std::vector<std::variant<int64_t, std::string>> values;

    void add(std::string_view condition) { sql += fmt::format(" AND ({})", condition); }
    void number(int64_t v) { values.emplace_back(v); }
    void text(std::string v) { values.emplace_back(std::move(v)); }
    void bind(StoreQuery& query) const {
        for (const auto& value : values) std::visit([&](const auto& v) { query.bind(v); }, value);
    }
};

// The number of rows of the wanted kinds: a sum of columns.
std::string rows_of(const std::vector<ChangeKind>& kinds) {
    if (kinds.empty()) return "inserted + updated + deleted";
    std::string sum;
    for (ChangeKind kind : kinds) {
        const char* column = kind == ChangeKind::inserted  ? "inserted"
                             : kind == ChangeKind::updated ? "updated"
                                                           : "deleted";
        sum += fmt::format("{}{}", sum.empty() ? "" : " + ", column);
    }
    return sum;
}

// "FROM change … WHERE": the transaction's changes of the wanted tables.
std::string wanted_changes(const TimelineFilter& filter, Conditions& conditions) {
    std::string any;
    for (const std::string& glob : filter.tables) {
        bool qualified = glob.find('.') != std::string::npos;
        any += fmt::format("{}{} GLOB ?", any.empty() ? "" : " OR ",
                           qualified ? "(tab.database || '.' || tab.name)" : "tab.name");
        conditions.text(glob);
    }
    return fmt::format(
        "FROM change JOIN tab ON tab.id = change.tab WHERE change.txn = txn.number AND ({})",
        any.empty() ? "1" : any);
}

// Whether the transaction did what is wanted, to enough rows of the wanted tables.
void add_changes(const TimelineFilter& filter, Conditions& conditions) {
    std::string any;
    if (!filter.kinds.empty() || (!filter.ddl && (!filter.tables.empty() || filter.min_rows > 0))) {
        uint64_t least = std::max<uint64_t>(filter.min_rows, filter.kinds.empty() ? 0 : 1);
        any = fmt::format("(SELECT COALESCE(SUM({}), -1) {}) >= {}", rows_of(filter.kinds),
                          wanted_changes(filter, conditions), least);
    }
    if (filter.ddl) {
        if (!any.empty()) any += " OR ";
        any += fmt::format("(txn.flags & {}) != 0", kDdlFlag);
        if (!filter.tables.empty())
            any += fmt::format(" AND EXISTS (SELECT 1 {})", wanted_changes(filter, conditions));
    }
    if (!any.empty()) conditions.add(any);
}

std::string escaped_like(std::string_view text) {
    std::string out = "%";
    for (char c : text) {
        if (c == '%' || c == '_' || c == '\\') out += '\\';
        out += c;
    }
    return out + "%";
}

void add_gtids(const TimelineFilter& filter, Conditions& conditions) {
    if (filter.from_gtid && filter.to_gtid && filter.from_gtid->domain != filter.to_gtid->domain)
        throw Error(ErrorKind::usage, "a range of GTIDs must be of one domain");
    if (filter.from_gtid) {
        conditions.add("txn.domain = ? AND txn.sequence >= ?");
        conditions.number(filter.from_gtid->domain);
        conditions.number(static_cast<int64_t>(filter.from_gtid->sequence));
    }
    if (filter.to_gtid) {
        conditions.add("txn.domain = ? AND txn.sequence <= ?");
        conditions.number(filter.to_gtid->domain);
        conditions.number(static_cast<int64_t>(filter.to_gtid->sequence));
    }
}

Conditions conditions_of(const TimelineFilter& filter) {
    Conditions conditions;
    if (filter.from) {
        conditions.add("txn.time >= ?");
        // The log has whole seconds: those of a part of a second are before it.
        conditions.number(filter.from->seconds + (filter.from->nanoseconds > 0 ? 1 : 0));
    }
    if (filter.to) {
        conditions.add("txn.time <= ?");
        conditions.number(filter.to->seconds);
    }
    if (!filter.incarnation.empty()) {
        conditions.add("file.incarnation = ?");
        conditions.text(filter.incarnation);
    }
    if (!filter.text.empty()) {
        conditions.add("txn.text LIKE ? ESCAPE '\\'");
        conditions.text(escaped_like(filter.text));
    }
    add_gtids(filter, conditions);
    add_changes(filter, conditions);
    return conditions;
}

}  // namespace

std::vector<Transaction> Timeline::query(const TimelineFilter& filter) {
    Conditions conditions = conditions_of(filter);
    StoreQuery query(*impl_->store,
                     fmt::format("SELECT {} {} WHERE {} ORDER BY txn.number {} LIMIT ? OFFSET ?",
                                 kTransactionColumns, kFromAll, conditions.sql,
                                 filter.newest_first ? "DESC" : "ASC"));
    conditions.bind(query);
    query.bind(static_cast<int64_t>(std::min<size_t>(filter.limit, INT64_MAX)));
    query.bind(static_cast<int64_t>(filter.skip));
    return impl_->transactions(query);
}

uint64_t Timeline::count(const TimelineFilter& filter) {
    Conditions conditions = conditions_of(filter);
    StoreQuery query(*impl_->store,
                     fmt::format("SELECT COUNT(*) {} WHERE {}", kFromAll, conditions.sql));
    conditions.bind(query);
    query.step();
    return static_cast<uint64_t>(query.number(0));
}

std::vector<Transaction> Timeline::find(const Gtid& gtid) {
    StoreQuery query(*impl_->store,
                     fmt::format("SELECT {} {} WHERE txn.sequence = ? AND txn.domain = ? AND "
                                 "txn.server = ? ORDER BY txn.number DESC",
                                 kTransactionColumns, kFromAll));
    query.bind(static_cast<int64_t>(gtid.sequence));
    query.bind(int64_t{gtid.domain}).bind(int64_t{gtid.server_id});
    return impl_->transactions(query);
}

std::optional<Transaction> Timeline::last_at(const Time& time) {
    // `effective` grows within an incarnation, so the greatest number is the last of them.
    StoreQuery query(*impl_->store,
                     fmt::format("SELECT {} {} WHERE txn.effective <= ? ORDER BY txn.number DESC "
                                 "LIMIT 1",
                                 kTransactionColumns, kFromAll));
    query.bind(time.seconds);
    auto found = impl_->transactions(query);
    if (found.empty()) return std::nullopt;
    return found.front();
}

std::vector<Interval> Timeline::intervals() {
    StoreQuery query(*impl_->store, R"(
SELECT part.incarnation, part.start_state, part.end_state, n,
    a.domain, a.server, a.sequence, a.time, b.domain, b.server, b.sequence, b.effective
FROM part
JOIN (SELECT txn.part AS p, MIN(number) AS first, MAX(number) AS last, COUNT(*) AS n FROM txn
    GROUP BY txn.part) ON p = part.id
JOIN txn a ON a.number = first JOIN txn b ON b.number = last ORDER BY part.id)");
    auto gtid = [&](int at) {
        return Gtid{static_cast<uint32_t>(query.number(at)),
                    static_cast<uint32_t>(query.number(at + 1)),
                    static_cast<uint64_t>(query.number(at + 2))};
    };
    std::vector<Interval> all;
    while (query.step()) {
        Interval interval;
        interval.incarnation = query.text(0);
        interval.start_state = query.text(1);
        interval.end_position = parse_gtid_list(query.text(2)).position();
        interval.transactions = static_cast<uint64_t>(query.number(3));
        interval.first = gtid(4);
        interval.first_time.seconds = query.number(7);
        interval.last = gtid(8);
        interval.last_time.seconds = query.number(11);
        all.push_back(std::move(interval));
    }
    return all;
}

}  // namespace sevenfold::database::mariadb
