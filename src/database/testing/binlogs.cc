#include "database/testing/binlogs.h"

#include <fmt/format.h>

#include <thread>
#include <vector>

#include "core/random.h"
#include "database/testing/server_log.h"

namespace sevenfold::database {
namespace {

constexpr unsigned kTables = 4;

void write(const TestServer& server, const Workload& workload, unsigned writer) {
    auto connection = server.connect("load");
    SplitMix64 random(workload.seed * 1000 + writer);
    const unsigned domain = writer % workload.domains;
    connection->execute(fmt::format("SET gtid_domain_id={}", domain));
    // What is written in two domains must not depend on each other.
    auto pick = [&] { return workload.domains > 1 ? domain : random.below(kTables); };
    for (unsigned i = 0; i < workload.transactions; ++i) {
        uint64_t table = pick(), id = random.below(300);
        try {
            connection->execute("BEGIN");
            connection->execute(fmt::format(
                "INSERT INTO t{} (id, n, text) VALUES ({}, {}, REPEAT('{}', {})) ON DUPLICATE KEY "
                "UPDATE n=n+1",
                table, id, random.below(1000), random.below(10), random.below(200)));
            if (random.below(3) == 0)
                connection->execute(
                    fmt::format("DELETE FROM t{} WHERE id={}", pick(), random.below(300)));
            if (random.below(3) == 0)
                connection->execute(fmt::format("UPDATE t{} SET n=n+{} WHERE id BETWEEN {} AND {}",
                                                table, i, id, id + 5));
            connection->execute(random.below(20) == 0 ? "ROLLBACK" : "COMMIT");
        } catch (const Error&) {  // a deadlock, or a table that is being altered
            connection->execute("ROLLBACK");
        }
        if (writer == 0 && workload.rotate && i % (workload.transactions / 4 + 1) == 7)
            connection->execute("FLUSH BINARY LOGS");
        if (writer == 0 && workload.ddl && i % (workload.transactions / 3 + 1) == 11)
            connection->execute(fmt::format(
                "ALTER TABLE t{} ADD COLUMN IF NOT EXISTS c{} INT DEFAULT 7", pick(), i));
    }
}

}  // namespace

std::unique_ptr<LogArchive> archive_binlogs(const TestServer& server, const std::string& folder,
                                            const std::string& incarnation) {
    copy_log(server, folder, incarnation);
    return open_log_folder(folder);
}

void run_workload(const TestServer& server, const Workload& workload) {
    auto connection = server.connect();
    connection->execute("CREATE DATABASE IF NOT EXISTS `load`");
    for (unsigned i = 0; i < kTables; ++i) {
        if (workload.domains > 1) {  // a table, and the database, come from the domain that uses it
            connection->execute(fmt::format("SET gtid_domain_id={}", i % workload.domains));
            connection->execute("CREATE DATABASE IF NOT EXISTS `load`");
        }
        connection->execute(
            fmt::format("CREATE TABLE IF NOT EXISTS `load`.t{} (id INT PRIMARY "
                        "KEY, n BIGINT, text TEXT, KEY (n))",
                        i));
    }
    std::vector<std::jthread> writers;
    for (unsigned i = 0; i < workload.writers; ++i)
        writers.emplace_back([&, i] { write(server, workload, i); });
}

std::map<std::string, std::string> checksums(const TestServer& server) {
    auto connection = server.connect();
    std::map<std::string, std::string> out;
    for (const auto& row :
         connection->query("SELECT CONCAT('`', table_schema, '`.`', table_name, '`') FROM "
                           "information_schema.tables WHERE table_type='BASE TABLE' AND "
                           "table_schema NOT IN ('mysql', 'performance_schema', 'sys')"))
        out[*row[0]] = connection->query("CHECKSUM TABLE " + *row[0]).at(0).at(1).value_or("NULL");
    return out;
}

}  // namespace sevenfold::database
