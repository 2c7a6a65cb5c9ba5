// ping: is every place well? The examination itself is protect/health.h.
#include "protect/health.h"

#include "cli/commands.h"
#include "cli/table.h"
#include "core/log.h"
#include "core/parallel.h"
#include "core/units.h"
#include "protect/places.h"
#include "storage/tamper.h"

namespace sevenfold::cli {
namespace {

using protect::HealthCheck;
using protect::PlaceHealth;
using State = HealthCheck::State;

struct Options {
    std::vector<std::string> places;
    bool read_only = false, tamper = false;
    std::string timeout = "60s";
};

Style style_of(State state) {
    return state == State::failed    ? Style::red
           : state == State::warning ? Style::yellow
           : state == State::ok      ? Style::green
                                     : Style::plain;
}

JsonObject to_json(const PlaceHealth& health, const config::PlaceConfig& place) {
    JsonObject object;
    const HealthCheck* failed = health.first_failure();
    object.set("type", "place").set("name", place.name).set("domain", place.failure_domain());
    object.set("url", config::redacted(place.url)).set("ok", failed == nullptr);
    object.set("opens", health.opens).set("writable", health.writable);
    if (health.latency)
        object.set("latency_ms",
                   std::chrono::duration<double, std::milli>(*health.latency).count());
    object.set("snapshots", health.snapshots).set("newest", health.newest);
    object.set("free_bytes", health.free_space).set("used_bytes", health.used);
    object.set("days_until_full", health.days_until_full);
    if (health.clock_ahead)
        object.set("clock_ahead", std::chrono::duration<double>(*health.clock_ahead).count());
    JsonArray checks;
    for (const HealthCheck& check : health.checks) {
        JsonObject one;
        one.set("name", check.name);
        if (!check.subject.empty()) one.set("source", check.subject);
        one.set("state", protect::name(check.state)).set("evidence", check.evidence);
        if (!check.hint.empty()) one.set("hint", check.hint);
        checks.add(one);
    }
    object.set("checks", checks);
    if (failed != nullptr)
        object.set("error", failed->evidence)
            .set("kind", name(failed->kind))
            .set("hint", failed->hint);
    return object;
}

void add_row(Table& table, const PlaceHealth& health, const config::PlaceConfig& place,
             bool read_only, const Time& now) {
    Cell state = health.worst() == State::failed    ? Cell("failed", Style::red)
                 : health.worst() == State::warning ? Cell("warning", Style::yellow)
                 : read_only                        ? Cell("readable", Style::green)
                                                    : Cell("good", Style::green);
    table.row({place.name, place.failure_domain(), state,
               health.latency
                   ? fmt::format("{:.1f} ms",
                                 std::chrono::duration<double, std::milli>(*health.latency).count())
                   : "",
               health.snapshots ? format_count(*health.snapshots) : "",
               health.newest ? format_age(now.since(*health.newest)) + " ago" : "",
               health.free_space ? format_size(*health.free_space) : ""});
}

void explain(Terminal& terminal, const PlaceHealth& health, bool all) {
    for (const HealthCheck& check : health.checks) {
        if (check.state < State::warning && !all) continue;
        terminal.print(fmt::format(
            "{}: {}{}: {}: {}", printable(health.place), check.name,
            check.subject.empty() ? "" : " of " + printable(check.subject),
            terminal.styled(style_of(check.state), std::string(protect::name(check.state))),
            printable(check.evidence)));
        if (!check.hint.empty())
            terminal.print(
                fmt::format("  {} {}", terminal.styled(Style::cyan, "hint:"), check.hint));
    }
}

// That of what broke first, else 20 for what is not as it must be.
int exit_code_of(const std::vector<PlaceHealth>& all) {
    int code = 0;
    for (const PlaceHealth& health : all)
        if (const HealthCheck* failed = health.first_failure()) {
            if (failed->kind != ErrorKind::rule) return exit_code(failed->kind);
            code = exit_code(ErrorKind::rule);
        }
    return code;
}

struct Tampered {
    storage::TamperResult result;
    std::optional<Error> error;
};

// True when a place took what an append-only one must refuse.
bool report(Context& context, const config::PlaceConfig& place, const Tampered& tampered,
            Table& table) {
    bool failed = false;
    auto row = [&](const std::string& what, std::string_view verdict, const std::string& evidence) {
        bool bad = place.append_only && verdict == "accepted";
        failed = failed || bad;
        context.terminal().json(JsonObject()
                                    .set("type", "tamper")
                                    .set("name", place.name)
                                    .set("attempt", what)
                                    .set("verdict", verdict)
                                    .set("ok", !bad)
                                    .set("evidence", evidence));
        Style style = bad ? Style::red : verdict == "refused" ? Style::green : Style::plain;
        table.row({place.name, what, Cell(std::string(verdict), style), evidence});
    };
    if (tampered.error) row("connect", "inconclusive", tampered.error->message());
    for (const storage::TamperAttempt& attempt : tampered.result.attempts)
        row(attempt.what, storage::name(attempt.verdict), attempt.evidence);
    for (const std::string& leftover : tampered.result.leftovers) {
        log_warning("{}: the probe {} could not be removed", place.name, printable(leftover));
        context.terminal().json(
            JsonObject().set("type", "leftover").set("name", place.name).set("object", leftover));
    }
    return failed;
}

int tamper(Context& context, const std::vector<const config::PlaceConfig*>& places) {
    std::vector<Tampered> all(places.size());
    parallel_for(places.size(), 8, [&](size_t i) {
        storage::BackendOptions backend = protect::backend_options(*places[i]);
        backend.stop = context.stop();
        backend.stall_timeout = std::chrono::seconds(20);
        try {
            all[i].result = storage::tamper_with(storage::parse_location(places[i]->url), backend);
        } catch (...) {  // one place must not hide the others
            all[i].error = current_error();
        }
    });
    context.check_stop();
    Table table({{"place"}, {"attempt"}, {"verdict"}, {"evidence", Column::left, true}});
    std::vector<std::string> open;
    int code = 0;
    for (size_t i = 0; i < all.size(); ++i) {
        if (all[i].error && code == 0) code = exit_code(all[i].error->kind());
        if (report(context, *places[i], all[i], table)) open.push_back(places[i]->name);
    }
    table.print(context.terminal());
    for (const std::string& place : open)
        context.terminal().print(
            fmt::format("\n{} is configured as append_only, but whoever has its credentials can "
                        "destroy what is "
                        "there\n  {} Give the key less rights, or leave append_only out.",
                        printable(place), context.terminal().styled(Style::cyan, "hint:")));
    return open.empty() ? code : exit_code(ErrorKind::rule);
}

int ping(Context& context, const Options& options) {
    const config::AppConfig& config = context.config();
    auto deadline = parse_duration(options.timeout);
    if (!deadline || deadline->count() <= 0)
        throw Error(ErrorKind::usage,
                    fmt::format("--timeout {}: not a duration", printable(options.timeout)),
                    "Write it like 30s or 5m.");
    std::vector<const config::PlaceConfig*> places;
    for (const config::PlaceConfig& place : config.places)
        if (options.places.empty()) places.push_back(&place);
    for (const std::string& name : options.places) places.push_back(&config.place(name));
    if (options.tamper) return tamper(context, places);
    std::unique_ptr<catalog::Catalog> catalog;
    try {
        catalog = std::make_unique<catalog::Catalog>(config.app.state_dir);
    } catch (const Error& error) {
        log_warning("this ping is not recorded: {}", error.message());
    }
    auto all = protect::check_health(config, places, catalog.get(),
                                     {.deadline = *deadline,
                                      .read_only = options.read_only,
                                      .stop = context.stop(),
                                      .clock = &context.clock()});
    context.check_stop();
    Table table({{"place"},
                 {"domain"},
                 {"state"},
                 {"answer", Column::right},
                 {"snapshots", Column::right},
                 {"newest", Column::right},
                 {"free", Column::right}});
    const Time now = context.clock().now();
    for (size_t i = 0; i < all.size(); ++i) {
        context.terminal().json(to_json(all[i], *places[i]));
        add_row(table, all[i], *places[i], options.read_only, now);
    }
    table.print(context.terminal());
    context.terminal().print("");
    bool verbose = context.global().terminal.verbosity > 0;
    for (const PlaceHealth& health : all) explain(context.terminal(), health, verbose);
    return exit_code_of(all);
}

}  // namespace

void add_ping(CommandTree& tree) {
    auto options = std::make_shared<Options>();
    tree.command("ping", "Check that each place is well: reached, opened, written, read, in time.",
                 "sevenfold ping                 all places\n"
                 "sevenfold ping offsite -v      one of them, each check\n"
                 "sevenfold ping --read-only     without writing and removing a small file")
        .arguments("PLACE", options->places, "places to check (default: all)")
        .flag("--read-only", options->read_only, "do not test writing")
        .flag("--tamper", options->tamper,
              "try what an intruder with our credentials would, on probes only")
        .option("--timeout", options->timeout, "DURATION",
                "what is not done by then has failed (default: 60s)")
        .run([options](Context& context) { return ping(context, *options); });
}

}  // namespace sevenfold::cli
