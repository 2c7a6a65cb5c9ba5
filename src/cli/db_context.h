// What the db commands share: the database meant, its places, its history.
#pragma once

#include <optional>
#include <string>

#include "cli/context.h"
#include "cli/json.h"
#include "protect/database_history.h"

namespace sevenfold::cli {

// "0-1-4711", and no date.
bool is_gtid(const std::string& text);
// A GTID, or a time as parse_time takes it. Throws Error{usage} naming the option.
database::ReplayRequest::Until parse_moment(const std::string& text, const char* option);
// {"before":…,"after":…}, what there is of them.
JsonObject before_and_after(const database::LoggedChange::Value& value);

// Which later transactions touch what this one did.
void print_conflicts(Terminal& terminal, const std::string& gtid,
                     const database::ConflictPreview& preview);

class DbContext {
  public:
    // `name` empty: the only database. Throws Error{usage}.
    DbContext(Context& context, const std::string& name);

    const config::DatabaseConfig& database() const { return database_; }
    const std::vector<protect::JobPlace>& places();
    // The timeline, brought up to date.
    protect::DatabaseHistory history(const std::string& only_place = {});
    // The database's own server; nothing, with a note at -v, when it does not answer.
    std::optional<database::ServerLogin> login();

  private:
    Context& context_;
    const config::DatabaseConfig& database_;
    std::vector<protect::JobPlace> places_;
};

}  // namespace sevenfold::cli
