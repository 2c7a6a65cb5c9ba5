// Views and stored programs: what a schema holds besides tables.
#include <fmt/format.h>

#include "database/mariadb/dump/internal/schema_text.h"
#include "database/mariadb/dump/internal/view_order.h"
#include "database/mariadb/dump/schema.h"

namespace sevenfold::database::mariadb {
namespace {

using sql::quote_name;
using sql::quote_text;
using sql::Row;

// A stored program as it was made: its text is in the character set of the client that made it, and
// what declares none has that of the database at that time. `client` is the number of the column
// with the client's character set; the collations of connection and database follow it.
void add_program(std::vector<std::string>& to, const std::string& database,
                 const std::string& collation, const Row& row, size_t sql_mode, size_t client,
                 const std::string& create) {
    std::string then = row[client + 2].value_or(collation);
    std::string alter = "ALTER DATABASE " + quote_name(database) + " COLLATE ";
    to.push_back("USE " + quote_name(database));
    if (then != collation) to.push_back(alter + then);
    to.push_back(fmt::format(
        "SET SESSION sql_mode={}, character_set_client={}, collation_connection={}",
        quote_text(row[sql_mode].value_or("")), quote_text(row[client].value_or("utf8mb4")),
        quote_text(row[client + 1].value_or("utf8mb4_general_ci"))));
    to.push_back(create);
    if (then == collation) return;
    // The name is read in the character set of the session.
    to.push_back("SET SESSION character_set_client=utf8mb4");
    to.push_back(alter + collation);
}

// Whether a view can be read: what it names is there.
bool is_broken(sql::MariadbConnection& connection, const std::string& name) {
    try {
        connection.query("SELECT 1 FROM " + name + " LIMIT 0");
        return false;
    } catch (const sql::ServerError& error) {
        if (error.kind() == ErrorKind::network) throw;
        return true;
    }
}

void add_view(std::vector<std::string>& to, const View& view, const std::string& create) {
    to.push_back("USE " + quote_name(view.database));
    to.push_back("SET SESSION collation_connection=" + quote_text(view.collation));
    to.push_back(create);
}

}  // namespace

void Schema::read_views(sql::MariadbConnection& connection, const Selection& selection) {
    std::vector<View> good, bad;
    for (const Row& row : connection.query(fmt::format(
             "SELECT table_schema, table_name FROM information_schema.tables WHERE {} AND "
             "table_type='VIEW' ORDER BY table_schema, table_name",
             in_databases("table_schema", databases)))) {
        if (!selection.has_table(*row[0], *row[1])) continue;
        std::string name = quote_name(*row[0], *row[1]);
        Row made = connection.query("SHOW CREATE VIEW " + name).at(0);
        View view{*row[0], *row[1], definition(made, 1, "view " + *row[1]),
                  made.at(3).value_or("utf8mb4_general_ci")};
        (is_broken(connection, name) ? bad : good).push_back(std::move(view));
    }
    view_count = good.size() + bad.size();
    ViewOrder order = order_views(good);
    // A view on a view whose definer does not exist on the server that loads cannot be made. So
    // views that others name belong to whoever loads until all are there.
    for (size_t i : order.order)
        add_view(views.statements, good[i],
                 order.named[i] ? without_definer(good[i].create) : good[i].create);
    for (auto i = order.order.rbegin(); i != order.order.rend(); ++i)
        if (order.named[*i])
            add_view(views.statements, good[*i], "CREATE OR REPLACE" + good[*i].create.substr(6));
    for (const View& view : bad) {
        broken.push_back(view.database + "." + view.name);
        add_view(broken_views.statements, view, view.create);
    }
}

void Schema::read_routines(sql::MariadbConnection& connection) {
    auto rows = connection.query(fmt::format(
        "SELECT db, name, type FROM mysql.proc WHERE {} ORDER BY db, FIELD(type,'PACKAGE',"
        "'PACKAGE BODY','FUNCTION','PROCEDURE'), name",
        in_databases("db", databases)));
    RawResults raw(connection);
    for (const Row& row : rows) {
        std::string what = fmt::format("{} {}.{}", *row[2], *row[0], *row[1]);
        Row made =
            connection
                .query(fmt::format("SHOW CREATE {} {}", *row[2], quote_name(*row[0], *row[1])))
                .at(0);
        add_program(routines.statements, *row[0], collations_[*row[0]], made, 1, 3,
                    definition(made, 2, what));
        ++(*row[2] == "FUNCTION" ? function_count : procedure_count);
    }
}

void Schema::read_triggers(sql::MariadbConnection& connection, const Selection& selection) {
    auto rows = connection.query(fmt::format(
        "SELECT trigger_schema, trigger_name, event_object_table FROM information_schema.triggers "
        "WHERE {} ORDER BY trigger_schema, event_object_table, action_timing, event_manipulation, "
        "action_order",
        in_databases("trigger_schema", databases)));
    RawResults raw(connection);
    for (const Row& row : rows) {
        if (!selection.has_table(*row[0], *row[2])) continue;
        Row made = connection.query("SHOW CREATE TRIGGER " + quote_name(*row[0], *row[1])).at(0);
        add_program(triggers.statements, *row[0], collations_[*row[0]], made, 1, 3,
                    definition(made, 2, "trigger " + *row[1]));
        ++trigger_count;
    }
}

void Schema::read_events(sql::MariadbConnection& connection) {
    auto rows = connection.query(fmt::format(
        "SELECT event_schema, event_name FROM information_schema.events WHERE {} ORDER BY "
        "event_schema, event_name",
        in_databases("event_schema", databases)));
    RawResults raw(connection);
    for (const Row& row : rows) {
        Row made = connection.query("SHOW CREATE EVENT " + quote_name(*row[0], *row[1])).at(0);
        events.statements.push_back("SET SESSION time_zone=" + quote_text(made[2].value_or("UTC")));
        add_program(events.statements, *row[0], collations_[*row[0]], made, 1, 4,
                    definition(made, 3, "event " + *row[1]));
        ++event_count;
    }
}

}  // namespace sevenfold::database::mariadb
