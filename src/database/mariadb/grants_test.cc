#include "database/mariadb/grants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "database/mariadb/dump/dump.h"
#include "database/mariadb/physical/backup.h"
#include "database/mariadb/stream/watch.h"
#include "database/testing/mariadb_server.h"
#include "database/testing/nasty_schema.h"
#include "database/testing/stored_base.h"

namespace sevenfold::database::mariadb {
namespace {

using repository::testing::MemoryRepo;
using ::testing::HasSubstr;
using State = RightCheck::State;

const Feature kAll[] = {Feature::dump, Feature::physical, Feature::stream, Feature::replay};

// One server for all tests of this file; each makes its own accounts.
const TestServer& server() {
    static TestServer instance;
    static bool filled = (make_nasty_schema(*instance.connect()), true);
    EXPECT_TRUE(filled);
    return instance;
}

sql::MariadbOptions make_account(Feature feature, const std::string& user,
                                 std::vector<std::string> databases = {}) {
    GrantOptions options{
        .user = user, .databases = std::move(databases), .password = Secret("it's\\")};
    for (const std::string& statement : grant_statements({feature}, options))
        server().run(statement);
    sql::MariadbOptions login = server().login(user + "_" + std::string(name(feature)));
    login.password = Secret("it's\\");
    return login;
}

std::string display(const AccountCheck& check) {
    std::string out;
    for (const RightCheck& right : check.rights)
        if (right.state != State::present) out += right.right + ": " + right.detail + "\n";
    return out;
}

class GrantsTest : public ::testing::TestWithParam<Feature> {};
INSTANTIATE_TEST_SUITE_P(Features, GrantsTest, ::testing::ValuesIn(kAll),
                         [](const auto& p) { return std::string(name(p.param)); });

TEST_P(GrantsTest, WhatIsGrantedIsEnoughAndNothingMore) {
    AccountCheck check = check_account(GetParam(), make_account(GetParam(), "exact"));
    EXPECT_TRUE(check.sufficient()) << display(check);
    EXPECT_TRUE(check.minimal()) << display(check);
    EXPECT_EQ(check.account, "exact_" + std::string(name(GetParam())) + "@localhost");
}

TEST_P(GrantsTest, EveryRightIsMissedWhenItIsTakenAway) {
    sql::MariadbOptions login = make_account(GetParam(), "less");
    for (const std::string& right : needed_rights(GetParam())) {
        server().run(fmt::format("REVOKE {} ON *.* FROM {}@localhost", right, login.user));
        AccountCheck check = check_account(GetParam(), login);
        EXPECT_FALSE(check.sufficient()) << right;
        EXPECT_THAT(display(check), HasSubstr(right));
        server().run(fmt::format("GRANT {} ON *.* TO {}@localhost", right, login.user));
    }
    EXPECT_TRUE(check_account(GetParam(), login).sufficient());
}

TEST_P(GrantsTest, MoreThanNeededIsTold) {
    sql::MariadbOptions login = make_account(GetParam(), "more");
    server().run(fmt::format("GRANT DELETE, SHOW DATABASES ON *.* TO {}@localhost", login.user));
    server().run(fmt::format("GRANT INSERT ON `nasty`.* TO {}@localhost", login.user));
    AccountCheck check = check_account(GetParam(), login);
    EXPECT_TRUE(check.sufficient());
    auto state = [&](const std::string& right) {
        for (const RightCheck& entry : check.rights)
            if (entry.right == right) return entry.state;
        return State::missing;
    };
    EXPECT_EQ(state("DELETE on *.*"), State::dangerous) << display(check);
    EXPECT_EQ(state("INSERT on nasty.*"), State::dangerous) << display(check);
    EXPECT_EQ(state("SHOW DATABASES on *.*"), State::excess) << display(check);
}

TEST(GrantsUseTest, TheFeaturesWorkWithTheirAccountsAndNotWithLess) {
    sql::MariadbOptions dumper = make_account(Feature::dump, "use");
    MemoryRepo repo;
    auto dump_as = [&](const sql::MariadbOptions& login, std::vector<std::string> databases,
                       bool users) {
        store_tree(repo, [&](repository::TreeWriter& tree) {
            dump({.login = login, .selection = {.databases = databases}, .users = users}, tree);
        });
    };
    EXPECT_NO_THROW(dump_as(dumper, {}, true));
    for (const std::string& right : needed_rights(Feature::dump)) {
        if (right == "RELOAD") continue;  // without it one session reads instead of several
        server().run(fmt::format("REVOKE {} ON *.* FROM {}@localhost", right, dumper.user));
        EXPECT_THROW(dump_as(dumper, {}, true), Error) << right;
        server().run(fmt::format("GRANT {} ON *.* TO {}@localhost", right, dumper.user));
    }
    sql::MariadbOptions some = make_account(Feature::dump, "some", {"nasty", "odd`name.%"});
    EXPECT_NO_THROW(dump_as(some, {"nasty", "odd`name.%"}, false));
    AccountCheck check = check_account(Feature::dump, some, {.databases = {"nasty", "odd`name.%"}});
    EXPECT_TRUE(check.sufficient()) << display(check);

    sql::MariadbOptions copier = make_account(Feature::physical, "use");
    auto copy = [&] {
        store_tree(
            repo, [&](repository::TreeWriter& tree) { back_up_physical({.login = copier}, tree); });
    };
    EXPECT_NO_THROW(copy());
    for (const std::string& right : needed_rights(Feature::physical)) {
        server().run(fmt::format("REVOKE {} ON *.* FROM {}@localhost", right, copier.user));
        EXPECT_THROW(copy(), Error) << right;
        server().run(fmt::format("GRANT {} ON *.* TO {}@localhost", right, copier.user));
    }
}

TEST(GrantsUseTest, TheCanaryNeedsItsTableAndRights) {
    sql::MariadbOptions login = make_account(Feature::stream, "canary");
    auto check = [&] { return check_account(Feature::stream, login, {.canary = true}); };
    EXPECT_FALSE(check().sufficient()) << "no table";
    // The statements for the table and its grant, as they are printed.
    for (const std::string& statement : grant_statements(
             {Feature::stream}, {.user = "with_canary", .password = Secret("x"), .canary = true}))
        server().run(statement);
    EXPECT_FALSE(check().sufficient()) << "no right on it";
    login = server().login("with_canary_stream");
    login.password = Secret("x");
    AccountCheck good = check();
    EXPECT_TRUE(good.sufficient() && good.minimal()) << display(good);
    EXPECT_EQ(server().connect()->value("SELECT COUNT(*) FROM sevenfold.canary"), "0");
    auto connection = sql::MariadbConnection(login);
    EXPECT_NO_THROW(connection.execute(kCanaryStatement));
    EXPECT_NO_THROW(connection.execute(kCanaryStatement));
    server().run("REVOKE UPDATE ON sevenfold.canary FROM with_canary_stream@localhost");
    EXPECT_FALSE(check().sufficient());
    server().run("DROP DATABASE sevenfold");
}

TEST(GrantsStatementsTest, AreExact) {
    EXPECT_THAT(grant_statements({Feature::physical, Feature::stream}, {.host = "10.0.0.%"}),
                ::testing::ElementsAre(
                    "CREATE USER 'sevenfold_physical'@'10.0.0.%' IDENTIFIED BY 'CHANGE-ME'",
                    "GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO "
                    "'sevenfold_physical'@'10.0.0.%'",
                    "CREATE USER 'sevenfold_stream'@'10.0.0.%' IDENTIFIED BY 'CHANGE-ME'",
                    "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO "
                    "'sevenfold_stream'@'10.0.0.%'"));
    EXPECT_THAT(grant_statements({Feature::dump}, {.databases = {"a_b"}, .system_user = "backup"}),
                ::testing::ElementsAre(
                    "CREATE USER 'backup'@'localhost' IDENTIFIED VIA unix_socket",
                    "GRANT RELOAD ON *.* TO 'backup'@'localhost'",
                    "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON `a\\_b`.* TO "
                    "'backup'@'localhost'",
                    "GRANT SELECT ON `mysql`.* TO 'backup'@'localhost'"));
    EXPECT_EQ(feature_of("stream"), Feature::stream);
    EXPECT_THROW(feature_of("root"), Error);
}

TEST(GrantsStatementsTest, RootIsRefused) {
    auto root = server().connect();
    EXPECT_TRUE(is_privileged(*root));
    EXPECT_THROW(refuse_privileged(*root, Feature::dump), Error);
    sql::MariadbConnection small(make_account(Feature::stream, "small"));
    EXPECT_FALSE(is_privileged(small));
    EXPECT_NO_THROW(refuse_privileged(small, Feature::stream));
}

}  // namespace
}  // namespace sevenfold::database::mariadb
