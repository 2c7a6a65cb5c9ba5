#include "files/internal/task_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <thread>

namespace sevenfold::files::internal {
namespace {

using ::testing::ElementsAre;

struct Call : TaskPool::Task {
    explicit Call(std::function<void(unsigned)> b) : body(std::move(b)) {}
    void run(unsigned worker) override { body(worker); }
    std::function<void(unsigned)> body;
};

std::unique_ptr<TaskPool::Task> call(std::function<void(unsigned)> body) {
    return std::make_unique<Call>(std::move(body));
}

template <class... F>
std::vector<std::unique_ptr<TaskPool::Task>> tasks(F... bodies) {
    std::vector<std::unique_ptr<TaskPool::Task>> out;
    (out.push_back(call(bodies)), ...);
    return out;
}

TEST(TaskPool, GoesDepthFirstInOrder) {
    TaskPool pool;
    std::vector<int> order;
    auto note = [&](int n) { return [&order, n](unsigned) { order.push_back(n); }; };
    pool.push(tasks(
        [&](unsigned) {
            order.push_back(1);
            pool.push(tasks(note(2), note(3)));
        },
        note(4)));
    pool.work(0);
    EXPECT_THAT(order, ElementsAre(1, 2, 3, 4));
}

TEST(TaskPool, UrgentTasksGoFirst) {
    TaskPool pool;
    std::vector<int> order;
    auto note = [&](int n) { return [&order, n](unsigned) { order.push_back(n); }; };
    pool.push(tasks(
        [&](unsigned) {
            pool.push(tasks(note(3)));
            pool.push_urgent(call(note(1)));
            pool.push_urgent(call(note(2)));
        },
        note(4)));
    pool.work(0);
    EXPECT_THAT(order, ElementsAre(1, 2, 3, 4));
}

TEST(TaskPool, AnEmptyPoolIsDone) {
    TaskPool pool;
    pool.work(0);
    EXPECT_FALSE(pool.stopping());
}

TEST(TaskPool, EveryTaskRunsOnceOnManyThreads) {
    TaskPool pool;
    std::atomic<int> runs{0}, urgent{0};
    std::function<void(int)> spread = [&](int depth) {
        ++runs;
        if (depth == 0) return;
        std::vector<std::unique_ptr<TaskPool::Task>> children;
        for (int i = 0; i < 4; ++i)
            children.push_back(call([&, depth](unsigned) { spread(depth - 1); }));
        pool.push(std::move(children));
        if (pool.has_idle()) {
            ++urgent;
            pool.push_urgent(call([&](unsigned) { ++runs; }));
        }
    };
    pool.push(tasks([&](unsigned) { spread(5); }));
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t) threads.emplace_back([&, t] { pool.work(t); });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(runs, 1 + 4 + 16 + 64 + 256 + 1024 + urgent);
}

TEST(TaskPool, TellsOfIdleThreadsOnlyAsLongAsTheyAreFree) {
    TaskPool pool;
    std::thread idle;
    std::atomic<bool> other_ran{false};
    pool.push(tasks([&](unsigned) {
        EXPECT_FALSE(pool.has_idle());
        idle = std::thread([&] { pool.work(1); });
        while (!pool.has_idle()) std::this_thread::yield();
        pool.push_urgent(call([&](unsigned worker) {
            EXPECT_EQ(worker, 1u);
            other_ran = true;
        }));
        while (!other_ran) std::this_thread::yield();
        while (!pool.has_idle()) std::this_thread::yield();  // free again
    }));
    pool.work(0);
    idle.join();
}

TEST(TaskPool, AnExceptionEndsAllAndDropsTheRest) {
    TaskPool pool;
    std::thread other;
    std::atomic<bool> started{false}, dropped_ran{false};
    auto kept = std::make_shared<int>(1);
    pool.push(tasks(
        [&](unsigned) {
            other = std::thread([&] { pool.work(1); });
            while (!started) std::this_thread::yield();
            throw std::runtime_error("broken");
        },
        [&](unsigned) {
            started = true;
            while (!pool.stopping()) std::this_thread::yield();
        },
        [&, kept](unsigned) { dropped_ran = true; }));
    EXPECT_THROW(pool.work(0), std::runtime_error);
    other.join();
    EXPECT_FALSE(dropped_ran);
    EXPECT_EQ(kept.use_count(), 1) << "a dropped task is kept alive";
}

}  // namespace
}  // namespace sevenfold::files::internal
