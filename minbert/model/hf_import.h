// Import: a Hugging Face (or our own) model folder into Params, with a report of what went where.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/model/params.h"
#include "minbert/model/weight_source.h"

namespace minbert {

struct ImportOptions {
  /// Selects the parameters to be read; the others keep their values and are not reported as missing. Empty: all.
  std::function<bool(const ParamInfo&)> wanted;
  /// Whether a missing encoder tensor is an error, as in folders that minbert wrote. If not, the caller gives it a value, as transformers
  /// does; that no encoder tensor is there stays an error.
  bool require_encoder = true;
};

/// What an import read, or would read.
struct ImportReport {
  struct Parameter {
    std::string name;
    Role role = Role::kEncoder;
    std::string task;                 ///< for a head
    std::string tensor, file, dtype;  ///< where it comes from; empty when missing
    bool missing() const { return tensor.empty(); }
  };
  struct Head {
    std::string task;
    bool loaded = false;
    std::string reason;  ///< why it was not loaded
  };
  std::vector<Parameter> parameters;    ///< one for each wanted row of the table, in its order
  std::vector<Head> heads;              ///< one for each wanted head that has parameters
  std::vector<std::string> misshapen;   ///< "name: expected (2, 3), got (2, 4)", in encoder, pooler or MLM head
  std::vector<std::string> unexpected;  ///< tensors that belong to no part of a BERT of this size
  std::vector<std::string> unused;      ///< tensors of pooler, MLM or task heads that this model does not have
  std::vector<std::string> dropped;     ///< integer buffers, and copies of tied tensors
  std::string hint;                     ///< a guess at what is wrong, when something is

  /// Names of the missing parameters of one role.
  std::vector<std::string> missing(Role role) const;
  /// What transformers would say too: encoder and pooler parameters that are not in the weights, and tensors with no place in the model.
  std::vector<std::string> warnings() const;
  /// "not used: ..." for heads of other models among the tensors (a pooler does not count); empty without any.
  std::string unused_heads() const;
};

/// The parameter's name for a tensor's name. Strips prefixes (bert. model. module. 0.auto_model. _orig_mod., any number of them), renames
/// gamma and beta of LayerNorm, and maps the decoder bias of newer BertForMaskedLM to the MLM head's.
std::string canonical_name(std::string_view tensor);

/// Matches tensors with parameters. A head is read whole or not at all. Throws Error(kModel) when two tensors name one parameter.
ImportReport plan_import(const WeightSource& source, const ModelShape& shape, const ImportOptions& options = {});

/// Reads the weights that open_model_weights finds into `params` (f32; f64 and c128 are widened from f32), and
/// calls params.changed(). Missing parameters are left as they are, for the caller to initialise. Throws Error(kModel) for missing encoder
/// tensors (see ImportOptions), and for a misshapen tensor of encoder, pooler or MLM head; Error(kDiverged) for NaN or infinity in a tensor
/// that is read.
ImportReport import_weights(const std::filesystem::path& folder, Params& params, const ImportOptions& options = {});

/// The folder's weights, with its heads.safetensors and mlm.safetensors where it has them.
WeightSource open_model_weights(const std::filesystem::path& folder);

}  // namespace minbert
