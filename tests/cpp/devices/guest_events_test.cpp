// SPDX-License-Identifier: GPL-2.0-only
#include "devices/guest_events.hpp"

#include <doctest/doctest.h>
#include <linux/kvm_para.h>

#include <cstring>

#include "recorders.hpp"

#ifdef KVM_HC_GUEST_EVENTS

namespace vmm::devices {
namespace {

using memory::GuestAddress;
using test::RecordingSink;

constexpr uint64_t kPage = 0x5000;
const auto kRefused = static_cast<uint64_t>(-KVM_EINVAL);

struct Fixture {
  memory::GuestMemory memory{1 << 20};
  RecordingSink sink;
  GuestEvents events{memory, sink};
  kvm_guest_events page{};

  Fixture() {
    page.magic = KVM_GUEST_EVENTS_MAGIC;
    page.sent_ns = 500;
  }

  void add(uint32_t type, const char* name) {
    kvm_guest_event& event = page.event[page.count++];
    event.time_ns = 100 + page.count;
    event.type = type;
    std::strncpy(event.name, name, sizeof event.name);
  }

  uint64_t send(uint64_t at = kPage) {
    memory.write_object(GuestAddress{at}, page);
    return events.take(GuestAddress{at}, EventPath::kHypercall);
  }

  GuestEvents::Record head(size_t offset = 0) const {
    GuestEvents::Record record{};
    REQUIRE(sink.text.size() >= offset + sizeof record);
    std::memcpy(&record, sink.text.data() + offset, sizeof record);
    return record;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a page of events becomes a record with both clocks") {
  add(KVM_GUEST_EVENT_LEVEL, "early");
  add(KVM_GUEST_EVENT_INITCALL_START, "first_init");
  CHECK(send() == 0);
  CHECK(head().count == 2);
  CHECK(head().sent_ns == 500);
  CHECK(head().received_ns > 0);
  CHECK(sink.text.size() == sizeof(GuestEvents::Record) + 2 * sizeof(kvm_guest_event));
  CHECK(sink.text.find("first_init") != std::string::npos);
  CHECK(sink.flushes == 1);
  CHECK(events.seen() == EventPath::kHypercall);
}

TEST_CASE_FIXTURE(Fixture, "pages that make no sense are refused and counted") {
  add(KVM_GUEST_EVENT_MARK, "x");
  CHECK(send(kPage + 8) == kRefused);
  CHECK(events.take(GuestAddress{1 << 20}, EventPath::kHypercall) == kRefused);
  CHECK(events.take(GuestAddress{~uint64_t{0} & ~uint64_t{0xfff}}, EventPath::kPort) == kRefused);
  page.count = KVM_GUEST_EVENTS_MAX + 1;
  CHECK(send() == kRefused);
  page.count = ~0U;
  CHECK(send() == kRefused);
  page.count = 1;
  page.magic = 0;
  CHECK(send() == kRefused);
  CHECK(sink.text.empty());
  CHECK(events.seen() == EventPath::kNone);
  page.magic = KVM_GUEST_EVENTS_MAGIC;
  CHECK(send() == 0);
  CHECK(head().refused == 6);
}

TEST_CASE_FIXTURE(Fixture, "a guest that never stops is cut off, and goes on") {
  for (int i = 0; i < KVM_GUEST_EVENTS_MAX; ++i) add(KVM_GUEST_EVENT_MARK, "again");
  for (uint64_t sent = 0; sent < 2 * GuestEvents::kMaxEvents; sent += page.count) {
    CHECK(send() == 0);
  }
  size_t events_out = 0;
  for (size_t at = 0; at < sink.text.size();) {
    events_out += head(at).count;
    at += sizeof(GuestEvents::Record) + head(at).count * sizeof(kvm_guest_event);
  }
  CHECK(events_out == GuestEvents::kMaxEvents);
}

TEST_CASE_FIXTURE(Fixture, "the port takes a page's number, as four bytes") {
  add(KVM_GUEST_EVENT_MARK, "by port");
  memory.write_object(GuestAddress{kPage}, page);
  const uint32_t number = kPage >> 12;
  events.write(0, std::as_bytes(std::span(&number, 1)).first(2));
  CHECK(sink.text.empty());
  events.write(0, std::as_bytes(std::span(&number, 1)));
  CHECK(head().count == 1);
  CHECK(events.seen() == EventPath::kPort);
  CHECK(test::in8(events, 0) == 0xff);
}

TEST_CASE_FIXTURE(Fixture, "what was gathered since is found when the guest has stopped") {
  CHECK(events.unsent().empty());
  add(KVM_GUEST_EVENT_LEVEL, "early");
  CHECK(send() == 0);
  page.count = 0;
  add(KVM_GUEST_EVENT_INITCALL_START, "hangs_here");
  memory.write_object(GuestAddress{kPage}, page);
  const std::vector<std::byte> record = events.unsent();
  GuestEvents::Record unsent{};
  REQUIRE(record.size() == sizeof unsent + sizeof(kvm_guest_event));
  std::memcpy(&unsent, record.data(), sizeof unsent);
  CHECK(unsent.count == 1);
  CHECK(unsent.sent_ns == 0);
}

TEST_CASE_FIXTURE(Fixture, "a rewind forgets the events that came after the checkpoint") {
  add(1, "first");
  REQUIRE(send() == 0);
  events.checkpoint();
  CHECK(events.take(GuestAddress{kPage + 1}, EventPath::kPort) == kRefused);
  REQUIRE(events.seen() == EventPath::kHypercall);
  events.rewind();
  GuestEvents::Record head{};
  const auto unsent = events.unsent();
  REQUIRE(unsent.size() >= sizeof head);
  std::memcpy(&head, unsent.data(), sizeof head);
  CHECK(head.refused == 0);
}

}  // namespace vmm::devices

#endif
