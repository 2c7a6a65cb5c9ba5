// db timeline, db show: every transaction, and what one of them changed.
#include "cli/commands.h"
#include "cli/db_context.h"
#include "cli/table.h"
#include "cli/times.h"
#include "core/log.h"
#include "core/units.h"

namespace sevenfold::cli {
namespace {

using database::LoggedChange;
using database::LoggedTransaction;

struct TimelineOptions {
    std::string database, from, to, text, place;
    std::vector<std::string> tables;
    uint64_t rows = 0, limit = 50;
    bool inserts = false, updates = false, deletes = false, ddl = false, oldest_first = false;
};

constexpr uint64_t kManyRows = 1000;  // deleted or changed at once: worth a look

Time time_of(const std::string& text, const char* option) {
    if (auto time = parse_time(text)) return *time;
    throw Error(ErrorKind::usage, fmt::format("{} {}: not a time", option, text),
                "Write '2026-11-25 14:03'.");
}

std::string first_line(const std::string& text) {
    std::string line = text.substr(0, text.find('\n'));
    return line.size() < text.size() ? line + " …" : line;
}

// "shop.item -1,200, shop.log +1": what stands out first.
std::string describe(const LoggedTransaction& transaction) {
    std::string out;
    for (const database::LoggedTable& table : transaction.tables) {
        out += (out.empty() ? "" : ", ") + table.name;
        if (table.inserted) out += " +" + format_count(table.inserted);
        if (table.updated) out += " ~" + format_count(table.updated);
        if (table.deleted) out += " -" + format_count(table.deleted);
    }
    return out;
}

Style style_of(const LoggedTransaction& transaction) {
    if (transaction.deleted() >= kManyRows) return Style::red;
    if (transaction.updated() >= kManyRows || transaction.ddl) return Style::yellow;
    return Style::plain;
}

void add_json(Terminal& terminal, const LoggedTransaction& transaction) {
    JsonArray tables;
    for (const database::LoggedTable& table : transaction.tables)
        tables.add(JsonObject()
                       .set("name", table.name)
                       .set("inserted", table.inserted)
                       .set("updated", table.updated)
                       .set("deleted", table.deleted));
    terminal.json(JsonObject()
                      .set("type", "transaction")
                      .set("gtid", transaction.id)
                      .set("time", transaction.time)
                      .set("thread", transaction.thread)
                      .set("bytes", transaction.bytes)
                      .set("tables", tables)
                      .set("ddl", transaction.ddl)
                      .set("statement_format", transaction.statement_format)
                      .set("text", transaction.text)
                      .set("file", transaction.file)
                      .set("offset", transaction.offset));
}

int timeline(Context& context, const TimelineOptions& options) {
    DbContext db(context, options.database);
    protect::DatabaseHistory history = db.history(options.place);
    database::TimelineQuery query{.tables = options.tables,
                                  .inserts = options.inserts,
                                  .updates = options.updates,
                                  .deletes = options.deletes,
                                  .ddl = options.ddl,
                                  .min_rows = options.rows,
                                  .text = options.text,
                                  .limit = options.limit,
                                  .newest_first = !options.oldest_first};
    if (!options.from.empty()) query.from = time_of(options.from, "--from");
    if (!options.to.empty()) query.to = time_of(options.to, "--to");
    Table table({{"time"},
                 {"gtid"},
                 {"rows", Column::right},
                 {"tables", Column::left, true},
                 {"statement", Column::left, true}});
    auto found = history.timeline->query(query);
    for (const LoggedTransaction& transaction : found) {
        Style style = style_of(transaction);
        table.row({to_display(in_local_zone(transaction.time)), transaction.id,
                   Cell(transaction.ddl ? "DDL" : format_count(transaction.rows()), style),
                   Cell(describe(transaction), style), first_line(transaction.text)});
        add_json(context.terminal(), transaction);
    }
    table.print(context.terminal());
    uint64_t all = history.timeline->count(query);
    if (all > found.size())
        context.terminal().print(fmt::format("{} of {} transactions; --limit shows more",
                                             format_count(found.size()), format_count(all)));
    else if (all == 0)
        context.terminal().print("no such transaction");
    for (const std::string& gap : history.timeline->gaps()) log_warning("gap: {}", gap);
    return 0;
}

struct ShowOptions {
    std::string database, gtid, place;
    uint64_t limit = 1000;
};

std::string_view word(LoggedChange::Kind kind) {
    return kind == LoggedChange::Kind::insert   ? "insert"
           : kind == LoggedChange::Kind::update ? "update"
                                                : "delete";
}

void print_change(Terminal& terminal, const LoggedChange& change) {
    JsonObject values;
    std::string line = fmt::format("{} {}", word(change.kind), printable(change.table));
    for (const LoggedChange::Value& value : change.values) {
        values.set(value.column, before_and_after(value));
        std::string text;
        if (change.kind == LoggedChange::Kind::update && value.before != value.after)
            text =
                fmt::format("{} -> {}", printable(value.before.value_or("?")),
                            terminal.styled(Style::yellow, printable(value.after.value_or("?"))));
        else
            text = printable((value.after ? value.after : value.before).value_or("?"));
        line += fmt::format("\n    {} = {}", printable(value.column), text);
    }
    terminal.print(line);
    terminal.json(JsonObject()
                      .set("type", "change")
                      .set("kind", word(change.kind))
                      .set("table", change.table)
                      .set("values", values));
}

int show(Context& context, const ShowOptions& options) {
    DbContext db(context, options.database);
    protect::DatabaseHistory history = db.history(options.place);
    LoggedTransaction transaction = history.timeline->find(options.gtid);
    Terminal& terminal = context.terminal();
    add_json(terminal, transaction);
    terminal.print(fmt::format("{}  {}  {}", terminal.styled(Style::bold, transaction.id),
                               to_display(in_local_zone(transaction.time)),
                               format_size(transaction.bytes)));
    if (transaction.thread) terminal.print(fmt::format("connection {}", transaction.thread));
    if (!transaction.text.empty()) terminal.print(printable(transaction.text));
    if (transaction.statement_format)
        terminal.print("by a statement: which rows it changed is not in the log");
    uint64_t shown = 0;
    auto login = db.login();
    history.timeline->changes(options.gtid, login ? &*login : nullptr,
                              [&](const LoggedChange& change) {
                                  if (shown == options.limit) return false;
                                  ++shown;
                                  print_change(terminal, change);
                                  return true;
                              });
    if (shown < transaction.rows())
        terminal.print(fmt::format("{} of {} rows; --limit shows more", format_count(shown),
                                   format_count(transaction.rows())));
    return 0;
}

}  // namespace

void add_db_timeline(CommandTree& db) {
    auto options = std::make_shared<TimelineOptions>();
    db.command("timeline", "List every transaction: when, what it changed, by which statement.",
               "sevenfold db timeline --table 'shop.*' --delete --rows 100\n"
               "sevenfold db timeline --from '2026-11-25 14:00' --text 'FROM orders'")
        .argument("DATABASE", options->database, "its name (default: the only one)", false)
        .option("--from", options->from, "TIME", "not before this time")
        .option("--to", options->to, "TIME", "not after this time")
        .option("--table", options->tables, "PATTERN", "that changed such a table")
        .flag("--insert", options->inserts, "that inserted rows")
        .flag("--update", options->updates, "that updated rows")
        .flag("--delete", options->deletes, "that deleted rows")
        .flag("--ddl", options->ddl, "that changed the schema")
        .option("--rows", options->rows, "N", "with at least so many rows")
        .option("--text", options->text, "TEXT", "with this in the statement")
        .option("--limit", options->limit, "N", "show so many (default: 50)")
        .flag("--oldest-first", options->oldest_first, "in the order in which they happened")
        .option("--place", options->place, "NAME", "as this place has it")
        .run([options](Context& context) { return timeline(context, *options); });
}

void add_db_show(CommandTree& db) {
    auto options = std::make_shared<ShowOptions>();
    db.command("show", "Show what one transaction changed: every row, before and after.",
               "sevenfold db show 0-1-4711")
        .argument("GTID", options->gtid, "the transaction")
        .option("--database", options->database, "NAME", "its name (default: the only one)")
        .option("--limit", options->limit, "N", "show so many rows (default: 1000)")
        .option("--place", options->place, "NAME", "as this place has it")
        .run([options](Context& context) { return show(context, *options); });
}

}  // namespace sevenfold::cli
