// SPDX-License-Identifier: GPL-2.0-only
//
// Converts a machine's configuration from and to plain Python values. Both directions use the
// visitors of machine/config/fields.hpp, so no field is named here.
#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/choice.hpp"
#include "base/error.hpp"
#include "bindings.hpp"
#include "machine/config/fields.hpp"

namespace py = pybind11;

namespace vmm::bindings {
namespace {

using base::ConfigError;

template <class Value>
concept Record = requires(const Value& value) { machine::record_name(value); };

std::string quoted(py::handle value) { return py::repr(value).cast<std::string>(); }

// Describes a value's position: "field 'vcpus' of a machine".
std::string place_of(std::string_view field, std::string_view record) {
  return "field '" + std::string(field) + "' of " + std::string(record);
}

[[noreturn]] void refuse(const std::string& place, py::handle value, const std::string& wanted) {
  throw ConfigError(place + " is " + quoted(value) + ": use " + wanted);
}

bool is_sequence(py::handle value) {
  return py::isinstance<py::list>(value) || py::isinstance<py::tuple>(value);
}

// Converts a Python value to a member of the configuration; one overload for each kind of member.
struct Reading {
  static void read(const std::string& place, py::handle value, bool& member) {
    if (!py::isinstance<py::bool_>(value)) refuse(place, value, "True or False");
    member = value.cast<bool>();
  }

  template <std::integral Number>
  static void read(const std::string& place, py::handle value, Number& member) {
    py::detail::make_caster<Number> number;
    if (py::isinstance<py::bool_>(value) || !number.load(value, false)) {
      using Limits = std::numeric_limits<Number>;
      refuse(place, value,
             "a whole number from " + std::to_string(Limits::min()) + " to " +
                 std::to_string(Limits::max()));
    }
    member = py::detail::cast_op<Number>(number);
  }

  static void read(const std::string& place, py::handle value, std::string& member) {
    py::detail::make_caster<std::string> text;
    if (!py::isinstance<py::str>(value) || !text.load(value, false)) refuse(place, value, "text");
    member = py::detail::cast_op<std::string&>(text);
  }

  template <base::Chosen Choice>
  static void read(const std::string& place, py::handle value, Choice& member) {
    const bool named = py::isinstance<py::str>(value);
    const auto chosen = named ? base::value_named<Choice>(value.cast<std::string>()) : std::nullopt;
    if (!chosen) refuse(place, value, base::names_to_use<Choice>());
    member = *chosen;
  }

  template <class Value>
  static void read(const std::string& place, py::handle value, std::optional<Value>& member) {
    member.reset();
    if (!value.is_none()) read(place, value, member.emplace());
  }

  template <class Value>
  static void read(const std::string& place, py::handle value, std::vector<Value>& member) {
    if (!is_sequence(value)) refuse(place, value, "a list");
    member.clear();
    for (const py::handle element : value) read(place, element, member.emplace_back());
  }

  template <Record Config>
  static void read(const std::string& place, py::handle value, Config& member) {
    if constexpr (machine::kIsList<Config>) {
      read_record(named_values(place, value, member), member);
    } else {
      if (!py::isinstance<py::dict>(value)) refuse(place, value, "a dict");
      read_record(py::reinterpret_borrow<py::dict>(value), member);
    }
  }

  template <Record Config>
  static void read_record(const py::dict& given, Config& member) {
    const std::string_view record = machine::record_name(member);
    std::set<std::string> known;
    machine::visit(member, [&](const char* name, auto& field, bool required = false) {
      known.insert(name);
      if (given.contains(name)) {
        read(place_of(name, record), given[name], field);
      } else if (required) {
        throw ConfigError(place_of(name, record) + " is missing: add it");
      }
    });
    refuse_others(given, known, record);
  }

  static void refuse_others(const py::dict& given, const std::set<std::string>& known,
                            std::string_view record) {
    for (const auto& [name, value] : given) {
      if (py::isinstance<py::str>(name) && known.contains(name.cast<std::string>())) continue;
      throw ConfigError("unknown field " + quoted(name) + " of " + std::string(record) +
                        ": remove it");
    }
  }

  // Returns the values of a record that is written as a list, by field name.
  template <Record Config>
  static py::dict named_values(const std::string& place, py::handle value, Config& member) {
    std::vector<const char*> names;
    machine::visit(member, [&](const char* name, auto&, bool = false) { names.push_back(name); });
    if (!is_sequence(value) || py::len(value) != names.size()) {
      std::string wanted = "a list of";
      for (const char* name : names) wanted += std::string(" ") + name;
      refuse(place, value, wanted);
    }
    const auto values = py::reinterpret_borrow<py::sequence>(value);
    py::dict named;
    for (size_t i = 0; i < names.size(); ++i) named[names[i]] = values[i];
    return named;
  }
};

// Converts a member's default to a Python value.
struct Writing {
  template <class Value>
  static py::object written(const Value& member) {
    if constexpr (base::Chosen<Value>) {
      return py::str(base::name_of(member));
    } else {
      return py::cast(member);
    }
  }

  // Lists of records, and records that may be absent, have no other default.
  template <class Value>
  static py::object written(const std::vector<Value>& member) {
    if (!member.empty()) throw std::logic_error("a field's default is a list of something");
    return py::list();
  }

  template <class Value>
  static py::object written(const std::optional<Value>& member) {
    if (member) throw std::logic_error("a field that may be absent is there by default");
    return py::none();
  }
};

// Each field of a record with its default; `...` stands for a field that has none.
template <Record Config>
py::dict defaults_of() {
  py::dict all;
  Config config;
  machine::visit(config, [&](const char* name, const auto& member, bool required = false) {
    all[name] = required ? py::object(py::ellipsis()) : Writing::written(member);
  });
  return all;
}

py::dict defaults() {
  py::dict all;
  all["machine"] = defaults_of<machine::MachineConfig>();
  all["disk"] = defaults_of<machine::DiskConfig>();
  all["share"] = defaults_of<machine::ShareConfig>();
  all["net"] = defaults_of<machine::NetConfig>();
  all["forward"] = defaults_of<machine::ForwardConfig>();
  all["vsock"] = defaults_of<machine::VsockConfig>();
  return all;
}

}  // namespace

machine::MachineConfig read_config(const py::dict& record) {
  machine::MachineConfig config;
  Reading::read_record(record, config);
  return config;
}

void bind_config(py::module_& module) { module.def("defaults", &defaults); }

}  // namespace vmm::bindings
