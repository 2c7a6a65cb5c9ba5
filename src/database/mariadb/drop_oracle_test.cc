// Leaving out transactions, against a server that never ran them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "core/random.h"
#include "database/mariadb/replay/replay.h"
#include "database/mariadb/timeline/conflicts.h"
#include "database/mariadb/timeline/timeline.h"
#include "database/testing/binlogs.h"

namespace sevenfold::database::mariadb {
namespace {

struct Done {
    Gtid gtid;
    std::vector<std::string> statements;  // that changed something, by constants alone
    bool ddl = false;
};

// Random transactions. Each statement names its rows by their key, and one that found none is
// forgotten: else another server could find more than the log tells of.
class History {
  public:
    History(const TestServer& server, uint64_t seed) : session_(server.connect()), random_(seed) {}

    std::vector<Done> make(size_t count) {
        ddl("CREATE DATABASE t");
        session_->execute("USE t");
        ddl("CREATE TABLE t.parent (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) UNIQUE, "
            "n INT)");
        ddl("CREATE TABLE t.child (id INT AUTO_INCREMENT PRIMARY KEY, parent INT, n INT, FOREIGN "
            "KEY (parent) REFERENCES t.parent (id) ON DELETE CASCADE)");
        ddl("CREATE TABLE t.loose (id INT AUTO_INCREMENT PRIMARY KEY, parent INT, n INT, FOREIGN "
            "KEY (parent) REFERENCES t.parent (id) ON DELETE SET NULL ON UPDATE CASCADE)");
        ddl("CREATE TABLE t.pair (a INT, b INT, text TEXT, PRIMARY KEY (a, b))");
        ddl("CREATE TABLE t.heap (x INT, y VARCHAR(20))");
        while (done_.size() < count)
            if (random_.below(15) == 0)
                ddl(random_ddl());
            else
                transaction();
        return std::move(done_);
    }

  private:
    void add(std::vector<std::string> statements, bool is_ddl) {
        done_.push_back({parse_gtid(session_->value("SELECT @@last_gtid").value_or("")),
                         std::move(statements), is_ddl});
    }
    void ddl(const std::string& statement) {
        session_->execute(statement);
        add({statement}, true);
    }
    std::string random_ddl() {
        unsigned number = ++ddls_;
        const char* table = kTables[random_.below(5)];
        switch (random_.below(4)) {
            case 0:
                return fmt::format("ALTER TABLE t.{} ADD COLUMN c{} INT DEFAULT {}", table, number,
                                   number);
            case 1:
                return fmt::format("CREATE INDEX i{} ON t.{} ({})", number, "parent", "n");
            case 2:
                return fmt::format(
                    "CREATE TABLE t.more{} (id INT PRIMARY KEY) SELECT seq id FROM "
                    "t.seq_1_to_5",
                    number);
            default:
                return fmt::format("ALTER TABLE t.{} COMMENT 'number {}'", table, number);
        }
    }
    void transaction() {
        std::vector<std::string> kept;
        session_->execute("BEGIN");
        for (uint64_t i = 1 + random_.below(4); i > 0; --i) run(kept);
        if (kept.empty() || random_.below(20) == 0) {
            session_->execute("ROLLBACK");
            return;
        }
        session_->execute("COMMIT");
        add(std::move(kept), false);
    }
    void run(std::vector<std::string>& kept) {
        auto [statement, counter] = random_statement();
        try {
            if (session_->execute(statement) == 0) return;
        } catch (const Error&) {  // a key that is taken, or a parent that is not there
            return;
        }
        if (counter) {  // another server's counter may stand elsewhere
            size_t at = statement.find("NULL");
            statement.replace(at, 4, session_->value("SELECT LAST_INSERT_ID()").value_or(""));
        }
        kept.push_back(statement);
    }
    std::pair<std::string, bool> random_statement() {
        uint64_t id = 1 + random_.below(60), other = 1 + random_.below(60), n = random_.below(1000);
        const char* table = kTables[random_.below(3)];
        switch (random_.below(12)) {
            case 0:
            case 1:
                return {fmt::format("INSERT INTO t.parent (id, name, n) VALUES (NULL, 'name {}', "
                                    "{})",
                                    other, n),
                        true};
            case 2:
                return {
                    fmt::format("INSERT INTO t.child (id, parent, n) VALUES (NULL, {}, {})", id, n),
                    true};
            case 3:
                return {
                    fmt::format("INSERT INTO t.loose (id, parent, n) VALUES (NULL, {}, {})", id, n),
                    true};
            case 4:
                return {fmt::format("UPDATE t.{} SET n = n + {} WHERE id = {}", table, n, id),
                        false};
            case 5:
                return {
                    fmt::format("UPDATE t.parent SET name = 'name {}' WHERE id = {}", other, id),
                    false};
            case 6:
                return {fmt::format("DELETE FROM t.{} WHERE id = {}", table, id), false};
            case 7:
                return {
                    fmt::format("UPDATE t.parent SET id = {} WHERE id = {}", 1000 + ++moved_, id),
                    false};
            case 8:
                return {fmt::format("UPDATE t.{} SET parent = {} WHERE id = {}",
                                    random_.below(2) ? "child" : "loose", other, id),
                        false};
            case 9:
                return {fmt::format("INSERT INTO t.pair (a, b, text) VALUES ({}, {}, REPEAT('{}', "
                                    "{})) ON DUPLICATE KEY UPDATE text = CONCAT(text, '+')",
                                    id % 10, other % 10, n % 10, n),
                        false};
            case 10:
                return {
                    fmt::format("DELETE FROM t.pair WHERE a = {} AND b = {}", id % 10, other % 10),
                    false};
            default:
                if (random_.below(3) == 0)
                    return {fmt::format("DELETE FROM t.heap WHERE x = {}", id % 20), false};
                return {fmt::format("INSERT INTO t.heap (x, y) VALUES ({0}, 'text {0}')", id % 20),
                        false};
        }
    }

    static constexpr const char* kTables[] = {"parent", "child", "loose", "pair", "heap"};
    std::unique_ptr<sql::MariadbConnection> session_;
    SplitMix64 random_;
    std::vector<Done> done_;
    unsigned ddls_ = 0, moved_ = 0;
};

class DropOracleTest : public testing::Test {
  protected:
    // Those of which the preview says that nothing later builds on them, most of these.
    std::set<Gtid> droppable(const LogArchive& archive, uint64_t seed) {
        auto connection = origin.connect();
        ServerSchema schemas(*connection);
        SplitMix64 random(seed);
        std::set<Gtid> out;
        TransactionReader reader(archive);
        for (Transaction t; reader.next(t);) {
            if (t.ddl || t.statement_format || random.below(4) == 0) continue;
            ConflictReport report = find_conflicts(archive, t, schemas);
            if (report.conflicting == 0 && report.notes.empty()) out.insert(t.gtid);
        }
        return out;
    }
    static void empty(const TestServer& server) {
        auto connection = server.connect();
        for (const char* statement :
             {"DROP DATABASE IF EXISTS t", "RESET MASTER", "SET GLOBAL gtid_slave_pos=''"})
            connection->execute(statement);
    }

    TestServer origin, oracle{{.server_id = 50}}, target{{.server_id = 99}};
    storage::TestFolder folder;
};

TEST_F(DropOracleTest, AReplayWithoutSomeTransactionsIsAHistoryWithoutThem) {
    size_t dropped = 0;
    for (uint64_t seed : {uint64_t{1}, uint64_t{2}, uint64_t{std::random_device{}()}}) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        for (const TestServer* server : {&origin, &oracle, &target}) empty(*server);
        std::vector<Done> history = History(origin, seed).make(120);
        auto archive = archive_binlogs(origin, folder / std::to_string(seed));
        source::PlanOptions plan;
        plan.drop = droppable(*archive, seed);
        dropped += plan.drop.size();
        fmt::print("seed {}: {} of {} transactions left out\n", seed, plan.drop.size(),
                   history.size());
        auto session = oracle.connect();
        for (const Done& done : history) {
            if (plan.drop.contains(done.gtid)) continue;
            if (!done.ddl) session->execute("BEGIN");
            for (const std::string& statement : done.statements) session->execute(statement);
            if (!done.ddl) session->execute("COMMIT");
        }
        ReplayResult result =
            replay({.archive = archive.get(), .plan = plan, .allowed = {.executed = true}},
                   target.login());
        EXPECT_EQ(result.transactions, history.size());
        EXPECT_EQ(result.edited, plan.drop);
        auto expected = checksums(oracle), got = checksums(target);
        EXPECT_EQ(got, expected);
        if (plan.drop.size() > 3) {
            EXPECT_NE(got, checksums(origin)) << "dropping them must be seen";
        }
        if (got == expected) continue;
        for (const Done& done : history)
            fmt::print("{}{}{}\n", done.gtid.display(),
                       plan.drop.contains(done.gtid) ? " DROPPED " : " ",
                       fmt::join(done.statements, "; "));
        break;
    }
    EXPECT_GT(dropped, 10u);
}

}  // namespace
}  // namespace sevenfold::database::mariadb
