#include "cli/db_context.h"

#include "cli/times.h"
#include "core/log.h"
#include "core/units.h"
#include "protect/places.h"

namespace sevenfold::cli {

bool is_gtid(const std::string& text) {
    bool date = text.size() == 10 && text[4] == '-' && text[7] == '-';
    return !date && text.size() >= 5 && std::ranges::count(text, '-') == 2 &&
           text.find_first_not_of("0123456789-") == text.npos && text.front() != '-' &&
           text.back() != '-';
}

database::ReplayRequest::Until parse_moment(const std::string& text, const char* option) {
    using Kind = database::ReplayRequest::Until::Kind;
    if (is_gtid(text)) return {.kind = Kind::after, .transaction = text};
    if (auto time = parse_time(text)) return {.kind = Kind::time, .time = *time};
    throw Error(ErrorKind::usage, fmt::format("{} {}: neither a time nor a GTID", option, text),
                "Write '2026-11-25 14:03:00' or 0-1-4711.");
}

JsonObject before_and_after(const database::LoggedChange::Value& value) {
    return JsonObject().set("before", value.before).set("after", value.after);
}

DbContext::DbContext(Context& context, const std::string& name)
    : context_(context), database_(context.config().database(name)) {}

const std::vector<protect::JobPlace>& DbContext::places() {
    const config::AppConfig& config = context_.config();
    if (places_.empty())
        places_ = protect::open_places(protect::places_of(config, database_),
                                       {config.app.state_dir + "/cache", context_.stop()});
    return places_;
}

protect::DatabaseHistory DbContext::history(const std::string& only_place) {
    if (!only_place.empty()) context_.config().place(only_place);  // an unknown name is an error
    return protect::open_history(context_.config(), database_, places(), only_place);
}

std::optional<database::ServerLogin> DbContext::login() {
    try {
        database::ServerLogin login = protect::login_of(database_, database_.account);
        database::make_driver(database_.driver, {.login = login})->look();
        return login;
    } catch (const Error& error) {
        log_debug("the server is not asked: {}", error.message());
        return std::nullopt;
    }
}

void print_conflicts(Terminal& terminal, const std::string& gtid,
                     const database::ConflictPreview& preview) {
    terminal.json(JsonObject()
                      .set("type", "conflicts")
                      .set("gtid", gtid)
                      .set("rows", preview.rows)
                      .set("scanned", preview.scanned)
                      .set("conflicting", preview.conflicting));
    if (preview.conflicting == 0) {
        terminal.print(fmt::format("none of {} later transactions touches its {} rows",
                                   format_count(preview.scanned), format_count(preview.rows)));
    } else {
        terminal.print(fmt::format(
            "{} of {} later transactions touch its rows:", format_count(preview.conflicting),
            format_count(preview.scanned)));
        size_t shown = 0;
        for (const database::LaterConflict& later : preview.conflicts) {
            if (++shown > 20) break;
            std::string reasons;
            for (size_t i = 0; i < later.reasons.size() && i < 3; ++i)
                reasons += (i ? "; " : "") + later.reasons[i];
            terminal.print(fmt::format("  {}  {}  {}", later.transaction.id,
                                       to_display(in_local_zone(later.transaction.time)),
                                       printable(reasons)));
        }
    }
    for (const std::string& note : preview.notes) terminal.print("note: " + printable(note));
}

}  // namespace sevenfold::cli
