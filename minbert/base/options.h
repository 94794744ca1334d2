// Options: structs whose fields are named, explained, read, written, listed and put in a JSON Schema by one visitor each.
//
//   struct Stage { std::string name; double lr = 1e-5; std::optional<std::int64_t> batch; };
//   template <class V> void visit_options(V& v, Stage& o) {
//     v.field("name", o.name, "default its index");
//     v.field("lr", o.lr, "learning rate of the encoder", at_least(0));
//     v.field("batch", o.batch, "rows in a step", at_least(1));
//   }
//   Stage stage = read_options<Stage>(tree.node());   // initial values are the defaults
//
// A field's type is bool, a number, std::string, PathOption, an enum with option_names(), an option struct, or an optional,
// vector, map from text or variant of these. Any other type specialises OptionType.
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "minbert/base/number.h"
#include "minbert/base/toml.h"

namespace minbert {

// ---- what a field may say beside its name and help ----

/// Limits of a number, or of each number in a list.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false, high_open = false;  ///< the limit itself is outside

  bool contains(double value) const;
  /// "from 0 to 1", "above 0"; empty without limits.
  std::string describe() const;
};
inline Range at_least(double low) { return {.low = low}; }
inline Range above(double low) { return {.low = low, .low_open = true}; }
inline Range between(double low, double high) { return {.low = low, .high = high}; }
/// For probabilities that must not be 1.
inline Range from_to_below(double low, double high) { return {.low = low, .high = high, .high_open = true}; }

/// A file or folder as it was written, and the folder it starts from.
struct PathOption {
  std::string text = {};
  std::filesystem::path folder = {};

  bool empty() const { return text.empty(); }
  /// Absolute, without "." and "..". An absolute text and "-" stay; others start at `root` or, when that is empty, at `folder`.
  std::filesystem::path resolve(const std::filesystem::path& root = {}) const;
  /// Writes the resolved path into text.
  void make_absolute(const std::filesystem::path& root = {}) { text = resolve(root).string(); }
  bool operator==(const PathOption& other) const { return text == other.text; }
};

/// One name of an enum's value; the first name of a value is the one written, the others are aliases.
template <class E>
struct OptionName {
  E value;
  std::string_view name;
};

/// An enum is an option when `option_names(E)` returns a range of OptionName<E>.
template <class E>
concept NamedEnum = std::is_enum_v<E> && requires(E e) { option_names(e).begin(); };

/// The name that is written.
template <NamedEnum E>
std::string_view option_name(E value) {
  for (const auto& row : option_names(value))
    if (row.value == value) return row.name;
  MINBERT_CHECK(false, "an enum value without a name");
  return {};
}

/// The value of a name or alias; nothing if no value has it.
template <NamedEnum E>
std::optional<E> find_option(std::string_view name) {
  for (const auto& row : option_names(E{}))
    if (row.name == name) return row.value;
  return std::nullopt;
}

namespace internal {
struct NoVisitor {
  template <class T>
  void field(std::string_view, T&, std::string_view, Range = {}) {}
};
}  // namespace internal

template <class T>
concept HasOptions = std::is_class_v<T> && requires(internal::NoVisitor& v, T& options) { visit_options(v, options); };

// ---- how a type is read, written and described ----

/// Specialise for your own type with these static functions; node.fail() makes the error:
///   bool accepts(const TomlNode&)             whether the value is of a kind that read() takes (for variants)
///   void read(const TomlNode&, T&)            throws Error(kUsage)
///   TomlValue write(const T&)                 read() of it gives the same T
///   std::string type()                        for help: "whole number", "path | list of paths"
///   TomlValue schema()                        a JSON Schema
template <class T>
struct OptionType;

template <HasOptions T>
void read_options(const TomlNode& node, T& options);
template <HasOptions T>
TomlValue write_options(const T& options);
template <HasOptions T>
TomlValue options_schema(const T& defaults = {});

namespace internal {

TomlValue schema_of(std::string_view json_type);
[[noreturn]] void fail_unknown_name(const TomlNode& node, const std::vector<std::string>& names);
[[noreturn]] void fail_unknown_name(std::string_view name, std::string_view place, const std::vector<std::string>& names);
std::string join_types(const std::vector<std::string>& types);

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

}  // namespace internal

template <>
struct OptionType<bool> {
  static bool accepts(const TomlNode& node) { return node.is<bool>(); }
  static void read(const TomlNode& node, bool& value) { value = node.as_bool(); }
  static TomlValue write(bool value) { return value; }
  static std::string type() { return "true | false"; }
  static TomlValue schema() { return internal::schema_of("boolean"); }
};

template <std::integral T>
struct OptionType<T> {
  static bool accepts(const TomlNode& node) { return node.is<std::int64_t>(); }
  static void read(const TomlNode& node, T& value) {
    const std::int64_t number = node.as_int();
    if (!std::in_range<T>(number))
      node.fail(number < 0 ? fmt::format("a whole number of at least {}", std::numeric_limits<T>::min())
                           : fmt::format("a whole number of at most {}", std::numeric_limits<T>::max()));
    value = static_cast<T>(number);
  }
  static TomlValue write(T value) { return value; }
  static std::string type() { return "whole number"; }
  static TomlValue schema() { return internal::schema_of("integer"); }
};

template <std::floating_point T>
struct OptionType<T> {
  static bool accepts(const TomlNode& node) { return node.is<double>() || node.is<std::int64_t>(); }
  static void read(const TomlNode& node, T& value) {
    value = static_cast<T>(node.as_double());
    if (!std::isfinite(value)) node.fail("a finite number");
  }
  static TomlValue write(T value) { return as_written(value); }
  static std::string type() { return "number"; }
  static TomlValue schema() { return internal::schema_of("number"); }
};

template <>
struct OptionType<std::string> {
  static bool accepts(const TomlNode& node) { return node.is<std::string>(); }
  static void read(const TomlNode& node, std::string& value) { value = node.as_string(); }
  static TomlValue write(const std::string& value) { return value; }
  static std::string type() { return "text"; }
  static TomlValue schema() { return internal::schema_of("string"); }
};

template <>
struct OptionType<PathOption> {
  static bool accepts(const TomlNode& node) { return node.is<std::string>(); }
  static void read(const TomlNode& node, PathOption& value) { value = {node.as_string(), node.value().origin.folder}; }
  static TomlValue write(const PathOption& value) { return value.text; }
  static std::string type() { return "path"; }
  static TomlValue schema() { return internal::schema_of("string"); }
};

/// Reads any value and keeps it as it is.
template <>
struct OptionType<TomlValue> {
  static bool accepts(const TomlNode&) { return true; }
  static void read(const TomlNode& node, TomlValue& value) { value = node.value(); }
  static TomlValue write(const TomlValue& value) { return value; }
  static std::string type() { return "any value"; }
  static TomlValue schema() { return TomlTable(); }
};

template <NamedEnum E>
struct OptionType<E> {
  static std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const auto& row : option_names(E{})) names.emplace_back(row.name);
    return names;
  }
  static bool accepts(const TomlNode& node) { return node.is<std::string>(); }
  static void read(const TomlNode& node, E& value) {
    const auto found = node.is<std::string>() ? find_option<E>(node.as_string()) : std::nullopt;
    if (!found) internal::fail_unknown_name(node, names());
    value = *found;
  }
  static TomlValue write(E value) { return option_name(value); }
  static std::string type() { return internal::join_types(names()); }
  static TomlValue schema() {
    TomlArray values;
    for (const auto& name : names()) values.emplace_back(name);
    TomlTable schema;
    schema.set("enum", std::move(values));
    return schema;
  }
};

template <HasOptions T>
struct OptionType<T> {
  static bool accepts(const TomlNode& node) { return node.is<TomlTable>(); }
  static void read(const TomlNode& node, T& value) { read_options(node, value); }
  static TomlValue write(const T& value) { return write_options(value); }
  static std::string type() { return "table"; }
  static TomlValue schema() { return options_schema<T>(); }
};

template <class T>
struct OptionType<std::optional<T>> {
  static bool accepts(const TomlNode& node) { return OptionType<T>::accepts(node); }
  static void read(const TomlNode& node, std::optional<T>& value) {
    if (!value) value.emplace();
    OptionType<T>::read(node, *value);
  }
  static TomlValue write(const std::optional<T>& value) {
    MINBERT_CHECK(value.has_value(), "TOML has no null");
    return OptionType<T>::write(*value);
  }
  static std::string type() { return OptionType<T>::type(); }
  static TomlValue schema() { return OptionType<T>::schema(); }
};

template <class T>
struct OptionType<std::vector<T>> {
  static bool accepts(const TomlNode& node) { return node.is<TomlArray>(); }
  static void read(const TomlNode& node, std::vector<T>& values) {
    values.clear();
    for (const auto& item : node.items()) {
      T value{};
      OptionType<T>::read(item, value);
      values.push_back(std::move(value));
    }
  }
  static TomlValue write(const std::vector<T>& values) {
    TomlArray items;
    for (const T& value : values) items.push_back(OptionType<T>::write(value));
    TomlValue list(std::move(items));
    list.section = HasOptions<T>;
    return list;
  }
  static std::string type() { return "list of " + OptionType<T>::type(); }
  static TomlValue schema() {
    TomlValue schema = internal::schema_of("array");
    schema.get_if<TomlTable>()->set("items", OptionType<T>::schema());
    return schema;
  }
};

template <class T, std::size_t N>
struct OptionType<std::array<T, N>> {
  static bool accepts(const TomlNode& node) { return node.is<TomlArray>(); }
  static void read(const TomlNode& node, std::array<T, N>& values) {
    const auto items = node.is<TomlArray>() ? node.items() : std::vector<TomlNode>();
    if (items.size() != N) node.fail(type());
    for (std::size_t i = 0; i < N; ++i) {
      if (std::is_floating_point_v<T> && items[i].template is<double>() && std::isinf(items[i].as_double()))
        values[i] = static_cast<T>(items[i].as_double());  // a range may have no end; keys that need one check it
      else
        OptionType<T>::read(items[i], values[i]);
    }
  }
  static TomlValue write(const std::array<T, N>& values) {
    TomlArray items;
    for (const T& value : values) items.push_back(OptionType<T>::write(value));
    return items;
  }
  static std::string type() { return fmt::format("list of {} of: {}", N, OptionType<T>::type()); }
  static TomlValue schema() {
    TomlValue schema = OptionType<std::vector<T>>::schema();
    schema.get_if<TomlTable>()->set("minItems", N);
    schema.get_if<TomlTable>()->set("maxItems", N);
    return schema;
  }
};

template <class T>
struct OptionType<std::map<std::string, T>> {
  static bool accepts(const TomlNode& node) { return node.is<TomlTable>(); }
  static void read(const TomlNode& node, std::map<std::string, T>& values) {
    values.clear();
    for (const auto& [key, item] : node.as_table()) OptionType<T>::read(TomlNode(item, join_key(node.key(), key)), values[key]);
  }
  static TomlValue write(const std::map<std::string, T>& values) {
    TomlTable table;
    for (const auto& [key, value] : values) table.set(key, OptionType<T>::write(value));
    return table;
  }
  static std::string type() { return "table of " + OptionType<T>::type(); }
  static TomlValue schema() {
    TomlValue schema = internal::schema_of("object");
    schema.get_if<TomlTable>()->set("additionalProperties", OptionType<T>::schema());
    return schema;
  }
};

/// The first alternative that accepts the value's kind reads it.
template <class... T>
struct OptionType<std::variant<T...>> {
  using Variant = std::variant<T...>;
  static bool accepts(const TomlNode& node) { return (OptionType<T>::accepts(node) || ...); }
  static void read(const TomlNode& node, Variant& value) {
    if (!(try_read<T>(node, value) || ...)) node.fail(type());
  }
  static TomlValue write(const Variant& value) {
    return std::visit([]<class A>(const A& alternative) { return OptionType<A>::write(alternative); }, value);
  }
  static std::string type() { return internal::join_types({OptionType<T>::type()...}); }
  static TomlValue schema() {
    TomlTable schema;
    schema.set("anyOf", TomlArray{OptionType<T>::schema()...});
    return schema;
  }

 private:
  template <class A>
  static bool try_read(const TomlNode& node, Variant& value) {
    if (!OptionType<A>::accepts(node)) return false;
    A alternative{};
    OptionType<A>::read(node, alternative);
    value = std::move(alternative);
    return true;
  }
};

/// The value that a flag or an argument of a call names; Error(kUsage) at `place` if no value has the name.
template <NamedEnum E>
E named_option(std::string_view name, std::string_view place) {
  const auto found = find_option<E>(name);
  if (!found) internal::fail_unknown_name(name, place, OptionType<E>::names());
  return *found;
}

// ---- visitors ----

/// Reads a table into a struct; fields that it lacks keep their values.
class OptionReader {
 public:
  /// Throws when the value is not a table.
  explicit OptionReader(const TomlNode& table) : table_(table) { table_.as_table(); }

  template <class T>
  void field(std::string_view key, T& value, std::string_view /*help*/, Range range = {}) {
    const auto node = take(key);
    if (!node) return;
    OptionType<T>::read(*node, value);
    check_range(*node, range);
  }
  /// Throws for a key that no field took, naming the nearest one that exists.
  void refuse_unknown_keys() const;

 private:
  std::optional<TomlNode> take(std::string_view key);
  static void check_range(const TomlNode& node, const Range& range);

  TomlNode table_;
  std::vector<std::string> known_;
};

/// Writes a struct into a table, in the order of its fields; an empty optional is left out.
class OptionWriter {
 public:
  template <class T>
  void field(std::string_view key, T& value, std::string_view /*help*/, Range = {}) {
    if constexpr (internal::is_optional<T>)
      if (!value) return;
    table_.set(key, OptionType<T>::write(value));
  }
  TomlValue take();

 private:
  TomlTable table_;
};

/// A row of --help and of the README's tables.
struct OptionInfo {
  std::string key;  ///< "stage[].mlm.mask"
  std::string type;
  std::string default_value;  ///< in TOML; empty when there is none
  std::string help;
};

/// Lists the fields of a struct and of those inside it.
class OptionLister {
 public:
  explicit OptionLister(std::string prefix = {}) : prefix_(std::move(prefix)) {}

  template <class T>
  void field(std::string_view key, T& value, std::string_view help, Range range = {}) {
    if constexpr (HasOptions<T>) {
      visit_inside(value, prefix_ + std::string(key));
    } else {
      std::string default_value;
      if constexpr (internal::is_optional<T>) {
        if (value) default_value = print_toml_value(OptionType<T>::write(value));
      } else {
        default_value = print_toml_value(OptionType<T>::write(value));
      }
      add(key, OptionType<T>::type(), std::move(default_value), help, range);
      visit_elements(value, prefix_ + std::string(key));
    }
  }
  std::vector<OptionInfo> take() { return std::move(rows_); }

 private:
  void add(std::string_view key, std::string type, std::string default_value, std::string_view help, const Range& range);
  void append(std::vector<OptionInfo> rows);

  template <HasOptions T>
  void visit_inside(T& value, const std::string& key) {
    OptionLister inside(key + ".");
    visit_options(inside, value);
    append(inside.take());
  }
  template <class T>
  void visit_elements(T&, const std::string&) {}
  template <HasOptions T>
  void visit_elements(std::optional<T>& value, const std::string& key) {
    T defaults = value.value_or(T{});
    visit_inside(defaults, key);
  }
  template <HasOptions T>
  void visit_elements(std::vector<T>&, const std::string& key) {
    T defaults{};
    visit_inside(defaults, key + "[]");
  }

  std::string prefix_;
  std::vector<OptionInfo> rows_;
};

/// Makes a JSON Schema that refuses unknown keys.
class OptionSchema {
 public:
  template <class T>
  void field(std::string_view key, T& value, std::string_view help, Range range = {}) {
    std::optional<TomlValue> default_value;
    if constexpr (HasOptions<T>) return add(key, options_schema(value), std::nullopt, help, range);
    if constexpr (!internal::is_optional<T>) default_value = OptionType<T>::write(value);
    add(key, OptionType<T>::schema(), std::move(default_value), help, range);
  }
  TomlValue take();

 private:
  void add(std::string_view key, TomlValue schema, std::optional<TomlValue> default_value, std::string_view help, const Range& range);

  TomlTable properties_;
};

// ---- whole structs ----

namespace internal {

/// A key that no field of its table took.
struct UnknownKey : Error {
  UnknownKey(const Error& error, std::string_view unknown) : Error(error), key(unknown) {}
  std::string key;  ///< without those of the tables around it
};

/// Throws the error again. Where another table of the file has a key of that name, the hint says which.
[[noreturn]] void fail_unknown_key(const UnknownKey& unknown, const std::vector<OptionInfo>& all);

}  // namespace internal

/// Overwrites the fields that the table has. Throws Error(kUsage) with file, line and key: wrong type, out of range, unknown key.
template <HasOptions T>
void read_options(const TomlNode& node, T& options) {
  OptionReader reader(node);
  visit_options(reader, options);
  reader.refuse_unknown_keys();
}

/// A table that read_options turns back into the same struct.
template <HasOptions T>
TomlValue write_options(const T& options) {
  OptionWriter writer;
  visit_options(writer, const_cast<T&>(options));  // a writer changes nothing
  return writer.take();
}

template <HasOptions T>
std::vector<OptionInfo> list_options(T defaults = {}) {
  OptionLister lister;
  visit_options(lister, defaults);
  return lister.take();
}

/// The options of a whole file: as above, and for an unknown key that stands in the wrong table, the hint says where it belongs.
template <HasOptions T>
T read_options(const TomlNode& node) {
  T options{};
  try {
    read_options(node, options);
  } catch (const internal::UnknownKey& unknown) {
    internal::fail_unknown_key(unknown, list_options<T>());
  }
  return options;
}

template <HasOptions T>
TomlValue options_schema(const T& defaults) {
  OptionSchema schema;
  visit_options(schema, const_cast<T&>(defaults));
  return schema.take();
}

}  // namespace minbert
