// The timeline of a MariaDB archive, in the words of database/timeline.h.
#include <fmt/format.h>

#include "database/mariadb/driver.h"
#include "database/mariadb/timeline/conflicts.h"
#include "database/mariadb/timeline/timeline.h"
#include "database/mariadb/timeline/undo.h"
#include "database/timeline.h"

namespace sevenfold::database {
namespace mariadb {
namespace {

LoggedTransaction to_logged(const Transaction& t) {
    LoggedTransaction out;
    out.id = t.gtid.display();
    out.time = t.time;
    out.thread = t.thread_id;
    out.bytes = t.bytes();
    for (const TableRows& table : t.tables)
        out.tables.push_back({table.display(), table.inserted, table.updated, table.deleted});
    out.ddl = t.ddl;
    out.statement_format = t.statement_format;
    out.text = t.text;
    out.file = t.incarnation + "/" + t.file;
    out.offset = t.start;
    return out;
}

TimelineFilter to_filter(const TimelineQuery& query) {
    TimelineFilter filter;
    filter.from = query.from;
    filter.to = query.to;
    filter.tables = query.tables;
    if (query.inserts) filter.kinds.push_back(ChangeKind::inserted);
    if (query.updates) filter.kinds.push_back(ChangeKind::updated);
    if (query.deletes) filter.kinds.push_back(ChangeKind::deleted);
    filter.ddl = query.ddl;
    filter.min_rows = query.min_rows;
    filter.text = query.text;
    filter.limit = query.limit;
    filter.newest_first = query.newest_first;
    return filter;
}

LoggedChange to_change(const ChangedRow& changed) {
    LoggedChange out;
    out.table = changed.table.database + "." + changed.table.table;
    out.kind = changed.row.kind == ChangeKind::inserted  ? LoggedChange::Kind::insert
               : changed.row.kind == ChangeKind::updated ? LoggedChange::Kind::update
                                                         : LoggedChange::Kind::remove;
    out.statement = changed.statement;
    auto text = [](const RowImage& image, size_t i) -> std::optional<std::string> {
        if (i >= image.size() || !image[i]) return std::nullopt;
        return mariadb::display(*image[i]);
    };
    for (size_t i = 0; i < changed.table.columns.size(); ++i) {
        const std::string& name = changed.table.columns[i].name;
        out.values.push_back({name.empty() ? fmt::format("@{}", i + 1) : name,
                              text(changed.row.before, i), text(changed.row.after, i)});
    }
    return out;
}

class MariadbUndo : public UndoScript {
  public:
    explicit MariadbUndo(UndoPlan plan) : plan_(std::move(plan)) {}

    std::string text() const override { return render(plan_); }
    uint64_t statements() const override { return plan_.statements.size(); }
    std::vector<std::string> notes() const override { return plan_.notes; }
    void apply(const ServerLogin& writer) const override {
        sql::MariadbConnection connection(connection_options(writer));
        try {
            apply_undo(connection, plan_);
        } catch (const sql::ServerError& error) {
            throw error.with_hint(
                "Nothing was changed: the rows are no longer as the transaction left them, or the "
                "account may not write.");
        }
    }

  private:
    UndoPlan plan_;
};

class MariadbTimeline : public database::Timeline {
  public:
    MariadbTimeline(const std::string& path, const LogArchive& archive)
        : archive_(archive), index_(path) {}

    uint64_t update() override { return index_.update(archive_).added; }
    uint64_t extend() override { return index_.extend(archive_).added; }

    std::vector<LoggedTransaction> query(const TimelineQuery& query) override {
        std::vector<LoggedTransaction> out;
        for (const Transaction& t : index_.query(to_filter(query))) out.push_back(to_logged(t));
        return out;
    }

    uint64_t count(const TimelineQuery& query) override { return index_.count(to_filter(query)); }

    LoggedTransaction find(const std::string& id) override { return to_logged(located(id)); }

    void changes(const std::string& id, const ServerLogin* server,
                 const std::function<bool(const LoggedChange&)>& visit) override {
        std::unique_ptr<sql::MariadbConnection> connection;
        std::unique_ptr<ServerSchema> schema;
        if (server) {
            connection = std::make_unique<sql::MariadbConnection>(connection_options(*server));
            schema = std::make_unique<ServerSchema>(*connection);
        }
        visit_changes(archive_, located(id), schema.get(),
                      [&](const ChangedRow& row) { return visit(to_change(row)); });
    }

    ConflictPreview conflicts(const std::string& id, const ServerLogin& server) override {
        sql::MariadbConnection connection(connection_options(server));
        ServerSchema schema(connection);
        ConflictReport report = find_conflicts(archive_, located(id), schema);
        ConflictPreview out{report.rows, report.scanned, report.conflicting, {}, report.notes};
        for (const Conflict& conflict : report.conflicts) {
            LaterConflict& later = out.conflicts.emplace_back();
            later.transaction = to_logged(conflict.transaction);
            later.rows = conflict.count;
            for (const Collision& collision : conflict.collisions)
                later.reasons.push_back(fmt::format("{}: {}.{} {}", name(collision.kind),
                                                    collision.database, collision.table,
                                                    collision.rows));
        }
        for (const std::string& table : report.tables_without_key)
            out.notes.push_back(table + " has no primary key: whole rows were compared");
        return out;
    }

    std::unique_ptr<UndoScript> undo(const std::string& id, const ServerLogin& server,
                                     const ServerLogin* past, bool leave_out_cascades) override {
        sql::MariadbConnection connection(connection_options(server));
        ServerSchema schema(connection);
        std::unique_ptr<sql::MariadbConnection> then;
        std::unique_ptr<ServerHistory> history;
        if (past) {
            then = std::make_unique<sql::MariadbConnection>(connection_options(*past));
            history = std::make_unique<ServerHistory>(*then);
        }
        return std::make_unique<MariadbUndo>(plan_undo(archive_, located(id), schema, history.get(),
                                                       {.leave_out_cascades = leave_out_cascades}));
    }

    std::vector<std::string> gaps() override {
        std::vector<std::string> out;
        for (const Gap& gap : index_.gaps())
            out.push_back(fmt::format("{}: between {} and {}: {}", gap.incarnation,
                                      gap.after.empty() ? "the start" : gap.after, gap.before,
                                      gap.reason));
        return out;
    }

  private:
    Transaction located(const std::string& id) {
        std::vector<Transaction> found = index_.find(parse_gtid(id));
        if (found.empty())
            throw Error(ErrorKind::not_found, fmt::format("no transaction {} in the archive", id),
                        "`sevenfold db timeline` lists them.");
        Transaction t = std::move(found.front());
        t.segment = find_segment(archive_, t.incarnation, t.file);
        return t;
    }

    const LogArchive& archive_;
    mariadb::Timeline index_;
};

}  // namespace
}  // namespace mariadb

namespace {

uint64_t sum(const std::vector<LoggedTable>& tables, uint64_t LoggedTable::*count) {
    uint64_t out = 0;
    for (const LoggedTable& table : tables) out += table.*count;
    return out;
}

}  // namespace

uint64_t LoggedTransaction::inserted() const { return sum(tables, &LoggedTable::inserted); }
uint64_t LoggedTransaction::updated() const { return sum(tables, &LoggedTable::updated); }
uint64_t LoggedTransaction::deleted() const { return sum(tables, &LoggedTable::deleted); }

std::unique_ptr<Timeline> open_timeline(const std::string& driver, const std::string& index_path,
                                        const LogArchive& archive) {
    if (driver != "mariadb")
        throw Error(ErrorKind::unsupported, fmt::format("no timeline for {}", driver));
    return std::make_unique<mariadb::MariadbTimeline>(index_path, archive);
}

}  // namespace sevenfold::database
