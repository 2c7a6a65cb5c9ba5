#include "storage/memory/memory_backend.h"

#include "storage/testing/contract.h"

namespace sevenfold::storage {
namespace {

struct MemoryPlace : ContractPlace {
    MemoryBackend backend;
    std::unique_ptr<Backend> open() override { return std::make_unique<BorrowedBackend>(backend); }
};

INSTANTIATE_TEST_SUITE_P(Memory, BackendContract,
                         testing::Values(contract("memory",
                                                  [] { return std::make_unique<MemoryPlace>(); })),
                         contract_name);

}  // namespace
}  // namespace sevenfold::storage
