#include "cli/db_context.h"

#include "core/log.h"
#include "protect/places.h"

namespace sevenfold::cli {

bool is_gtid(const std::string& text) {
    bool date = text.size() == 10 && text[4] == '-' && text[7] == '-';
    return !date && text.size() >= 5 && std::ranges::count(text, '-') == 2 &&
           text.find_first_not_of("0123456789-") == text.npos && text.front() != '-' &&
           text.back() != '-';
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

}  // namespace sevenfold::cli
