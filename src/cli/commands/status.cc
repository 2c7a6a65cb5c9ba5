// status: which of the rules hold right now, asked of the places themselves.
#include "protect/status.h"

#include "cli/commands.h"
#include "cli/table.h"
#include "core/log.h"
#include "core/units.h"
#include "protect/database_status.h"
#include "protect/mirror.h"
#include "protect/places.h"

namespace sevenfold::cli {
namespace {

using protect::CopyStatus;
using protect::SourceStatus;

std::string_view word(CopyStatus::State state) {
    switch (state) {
        case CopyStatus::State::good:
            return "good";
        case CopyStatus::State::late:
            return "late";
        case CopyStatus::State::missing:
            return "missing";
        case CopyStatus::State::unreachable:
            return "unreachable";
    }
    return "?";
}

Style style_of(CopyStatus::State state) {
    return state == CopyStatus::State::good   ? Style::green
           : state == CopyStatus::State::late ? Style::yellow
                                              : Style::red;
}

void add_row(Table& table, const SourceStatus& source, const CopyStatus& copy, const Time& now) {
    const auto& newest = copy.newest;
    bool has_counts = newest && newest->summary;
    table.row({source.name, copy.place, copy.domain,
               Cell(std::string(word(copy.state)), style_of(copy.state)),
               !newest ? ""
               : protect::is_from_future(newest->time, now)
                   ? "in the future"
                   : format_age(now.since(newest->time)) + " ago",
               has_counts ? format_count(newest->summary->total_files_processed) : "",
               has_counts ? format_size(newest->summary->total_bytes_processed) : "",
               newest ? newest->id.short_hex() : ""});
}

// What copies of all kinds say first, and their problems.
void begin(JsonObject& object, const protect::Copy& copy) {
    object.set("place", copy.place).set("domain", copy.domain).set("state", word(copy.state));
}
void add_problems(JsonObject& object, const protect::Copy& copy) {
    if (copy.error) object.set("error", copy.error->message());
    if (copy.failed_run) object.set("last_run_error", copy.failed_run->error);
}

void add_json(Terminal& terminal, const SourceStatus& source) {
    JsonArray copies;
    for (const CopyStatus& copy : source.copies) {
        JsonObject object;
        begin(object, copy);
        if (copy.newest)
            object.set("snapshot", copy.newest->id.hex()).set("time", copy.newest->time);
        add_problems(object, copy);
        if (copy.from_future != 0) object.set("snapshots_from_future", copy.from_future);
        if (!copy.damaged.empty()) object.set("damaged_snapshots", copy.damaged.size());
        copies.add(object);
    }
    terminal.json(JsonObject()
                      .set("type", "source")
                      .set("name", source.name)
                      .set("path", source.path)
                      .set("rule", 1)
                      .set("holds", source.holds)
                      .set("good_domains", JsonArray::of(source.good_domains))
                      .set("copies", copies));
}

// The first of its problems. `thing`: what it lacks when it has none.
void explain(Terminal& terminal, const std::string& what, const protect::Copy& copy,
             const char* thing, std::chrono::nanoseconds allowed_age, bool age_says_it) {
    if (copy.error) {
        terminal.print(what + printable(copy.error->message()));
        if (!copy.error->hint().empty()) terminal.print("hint: " + copy.error->hint());
    } else if (copy.failed_run) {
        terminal.print(fmt::format("{}the last run ({}) failed: {}", what,
                                   to_display(copy.failed_run->ended),
                                   printable(copy.failed_run->error)));
    } else if (copy.state == protect::Copy::State::missing) {
        terminal.print(fmt::format("{}no {} yet; run `sevenfold backup`", what, thing));
    } else if (copy.state == protect::Copy::State::late && age_says_it) {
        terminal.print(fmt::format("{}older than the {} that its schedule allows", what,
                                   format_age(allowed_age)));
    }
}

// "x: good copies in 1 of 2 failure domains", where that is so.
void explain_domains(Terminal& terminal, const std::string& source,
                     const std::vector<std::string>& good_domains) {
    if (good_domains.size() < 2)
        terminal.print(fmt::format("{}: good copies in {} of 2 failure domains",
                                   terminal.styled(Style::bold, printable(source)),
                                   good_domains.size()));
}

void explain(Terminal& terminal, const SourceStatus& source) {
    for (const CopyStatus& copy : source.copies) {
        std::string what = printable(source.name) + " at " + printable(copy.place) + ": ";
        explain(terminal, what, copy, "copy", source.allowed_age, copy.from_future == 0);
        if (copy.from_future != 0)
            terminal.print(
                fmt::format("{}{} of its snapshots are from the future: the clock was wrong when "
                            "they were made\n"
                            "hint: Remove them with `sevenfold repo forget`, for others take them "
                            "for the newest.",
                            what, copy.from_future));
        for (const Error& damage : copy.damaged)
            terminal.print(
                fmt::format("{}{}\nhint: Run `sevenfold repo check`, and keep the other "
                            "places.",
                            what, printable(damage.message())));
    }
}

void conclude(Terminal& terminal, const protect::Status& status) {
    for (const SourceStatus& source : status.sources) {
        explain(terminal, source);
        explain_domains(terminal, source.name, source.good_domains);
    }
    terminal.print(status.rule1_holds
                       ? terminal.styled(Style::green, "rule 1 holds") +
                             ": every source has good copies in two failure domains or more"
                       : terminal.styled(Style::red, "rule 1 does not hold"));
    terminal.json(JsonObject().set("type", "rule").set("rule", 1).set("holds", status.rule1_holds));
}

void add_row(Table& table, const protect::DatabaseStatus& database,
             const protect::DatabaseCopy& copy, const Time& now) {
    std::string newest;
    if (copy.newest) newest = copy.newest_kind + " " + format_age(now.since(*copy.newest)) + " ago";
    table.row({database.name, copy.place, copy.domain,
               Cell(std::string(word(copy.state)), style_of(copy.state)), newest, "",
               copy.bytes == 0 ? "" : format_size(copy.bytes), copy.method});
}

void add_json(Terminal& terminal, const protect::DatabaseStatus& database) {
    JsonArray copies;
    for (const protect::DatabaseCopy& copy : database.copies) {
        JsonObject object;
        begin(object, copy);
        if (copy.newest)
            object.set("time", *copy.newest)
                .set("gtid", copy.newest_gtid)
                .set("kind", copy.newest_kind)
                .set("method", copy.method);
        if (copy.restore)
            object
                .set("predicted_restore",
                     std::chrono::duration<double>(copy.restore->total()).count())
                .set("predicted_by_measured_rates", copy.restore->measured);
        JsonArray intervals;
        for (const protect::RecoverableInterval& interval : copy.intervals)
            intervals.add(JsonObject()
                              .set("from", interval.from)
                              .set("to", interval.to)
                              .set("from_gtid", interval.from_gtid)
                              .set("to_gtid", interval.to_gtid)
                              .set("bases", interval.bases)
                              .set("points", interval.points));
        object.set("recoverable", intervals);
        add_problems(object, copy);
        if (!copy.damaged.empty()) object.set("damaged_snapshots", copy.damaged.size());
        copies.add(object);
    }
    terminal.json(JsonObject()
                      .set("type", "source")
                      .set("name", database.name)
                      .set("rule", 2)
                      .set("holds", database.holds)
                      .set("good_domains", JsonArray::of(database.good_domains))
                      .set("copies", copies));
}

// The best of its good copies counts.
void explain_restore(Terminal& terminal, const protect::DatabaseStatus& database,
                     std::chrono::nanoseconds rto) {
    const protect::DatabaseCopy* best = nullptr;
    for (const protect::DatabaseCopy& copy : database.copies)
        if (copy.restore && (!best || copy.restore->total() < best->restore->total())) best = &copy;
    if (!best) return;
    bool fits = best->restore->total() <= rto;
    terminal.print(fmt::format(
        "{}: a restore is predicted to take {}{}{}", printable(database.name),
        terminal.styled(fits ? Style::green : Style::red, format_duration(best->restore->total())),
        fits ? "" : fmt::format(", more than rto ({})", format_duration(rto)),
        best->restore->measured ? "" : ", by cautious rates: none was measured on this host yet"));
}

void explain(Terminal& terminal, const protect::DatabaseStatus& database) {
    for (const protect::DatabaseCopy& copy : database.copies) {
        std::string what = printable(database.name) + " at " + printable(copy.place) + ": ";
        explain(terminal, what, copy, "base", database.allowed_age, true);
        for (const protect::RecoverableInterval& interval : copy.intervals)
            if (interval.from < interval.to)
                terminal.print(fmt::format("{}any transaction from {} to {} can be restored", what,
                                           to_display(in_local_zone(interval.from)),
                                           to_display(in_local_zone(interval.to))));
        for (const Error& damage : copy.damaged) terminal.print(what + printable(damage.message()));
    }
}

// Rule 2; true when it holds.
bool conclude(Terminal& terminal, const std::vector<protect::DatabaseStatus>& databases,
              std::chrono::nanoseconds rto) {
    if (databases.empty()) return true;
    bool holds = true;
    for (const protect::DatabaseStatus& database : databases) {
        explain(terminal, database);
        explain_restore(terminal, database, rto);
        holds = holds && database.holds;
        explain_domains(terminal, database.name, database.good_domains);
    }
    terminal.print(holds ? terminal.styled(Style::green, "rule 2 holds") +
                               ": every database is recoverable from two failure domains or more"
                         : terminal.styled(Style::red, "rule 2 does not hold"));
    terminal.json(JsonObject().set("type", "rule").set("rule", 2).set("holds", holds));
    return holds;
}

std::string_view word(protect::MirrorStatus::State state) {
    switch (state) {
        case protect::MirrorStatus::State::good:
            return "good";
        case protect::MirrorStatus::State::late:
            return "late";
        case protect::MirrorStatus::State::missing:
            return "missing";
    }
    return "?";
}

// Mirrors belong to no rule, for they follow mistakes; but one that is late is no help in a
// failover. True when all are as new as they should be.
bool show_mirrors(Terminal& terminal, const std::vector<protect::MirrorStatus>& mirrors,
                  const Time& now) {
    if (mirrors.empty()) return true;
    Table table({{"mirror"},
                 {"to"},
                 {"state"},
                 {"age", Column::right},
                 {"files", Column::right},
                 {"size", Column::right}});
    bool all = true;
    for (const protect::MirrorStatus& mirror : mirrors) {
        const auto& newest = mirror.newest;
        all = all && mirror.holds();
        table.row(
            {mirror.mirror->name, config::redacted(mirror.mirror->to),
             Cell(std::string(word(mirror.state)), mirror.holds() ? Style::green : Style::red),
             newest ? format_age(now.since(newest->started)) : "",
             newest ? format_count(newest->files) : "", newest ? format_size(newest->bytes) : ""});
        JsonObject object;
        object.set("type", "mirror").set("name", mirror.mirror->name);
        object.set("to", config::redacted(mirror.mirror->to)).set("state", word(mirror.state));
        object.set("holds", mirror.holds());
        if (newest) object.set("time", newest->started).set("files", newest->files);
        if (mirror.failed_run) object.set("last_run_error", mirror.failed_run->error);
        terminal.json(object);
    }
    terminal.print("");
    table.print(terminal);
    for (const protect::MirrorStatus& mirror : mirrors)
        if (mirror.failed_run)
            terminal.print(fmt::format(
                "{}: the last run ({}) failed: {}", printable(mirror.mirror->name),
                to_display(mirror.failed_run->ended), printable(mirror.failed_run->error)));
        else if (!mirror.newest)
            terminal.print(fmt::format("{}: no run yet; run `sevenfold mirror`",
                                       printable(mirror.mirror->name)));
    return all;
}

int status(Context& context) {
    const config::AppConfig& config = context.config();
    std::vector<const config::PlaceConfig*> place_configs;
    for (const config::PlaceConfig& place : config.places) place_configs.push_back(&place);
    auto places =
        protect::open_places(place_configs, {config.app.state_dir + "/cache", context.stop()});
    std::unique_ptr<catalog::Catalog> catalog;
    try {
        catalog = std::make_unique<catalog::Catalog>(config.app.state_dir);
    } catch (const Error& error) {
        log_warning("what the last runs said is not known: {}", error.message());
    }
    Time now = context.clock().now();
    protect::Status found = protect::get_status(config, places, catalog.get(), now);
    Table table({{"source"},
                 {"place"},
                 {"domain"},
                 {"copy"},
                 {"newest", Column::right},
                 {"files", Column::right},
                 {"size", Column::right},
                 {"snapshot"}});
    for (const SourceStatus& source : found.sources) {
        add_json(context.terminal(), source);
        for (const CopyStatus& copy : source.copies) add_row(table, source, copy, now);
    }
    auto databases = protect::get_database_status(config, places, catalog.get(), now);
    for (const protect::DatabaseStatus& database : databases) {
        add_json(context.terminal(), database);
        for (const protect::DatabaseCopy& copy : database.copies)
            add_row(table, database, copy, now);
    }
    table.print(context.terminal());
    context.terminal().print("");
    if (!config.files.empty()) conclude(context.terminal(), found);
    bool rule1 = config.files.empty() || found.rule1_holds;
    bool rule2 = conclude(context.terminal(), databases, config.recovery.rto);
    bool mirrors = show_mirrors(context.terminal(),
                                protect::get_mirror_status(config, catalog.get(), now), now);
    return rule1 && rule2 && mirrors ? 0 : exit_code(ErrorKind::rule);
}

}  // namespace

void add_status(CommandTree& tree) {
    tree.command("status", "Show which rules hold: for each source, which places hold a good copy.",
                 "sevenfold status           exit code 20 when a rule does not hold\n"
                 "sevenfold status --json    for a monitor")
        .run([](Context& context) { return status(context); });
}

}  // namespace sevenfold::cli
