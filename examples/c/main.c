/* Labels each line of standard input, and prints the start of its vector. Usage: example MODEL [TASK] < LINES */
#include <minbert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(minbert_error *error) {
  const minbert_status code = minbert_error_code(error);
  fprintf(stderr, "error %s: %s\n%s\n", minbert_error_place(error), minbert_error_message(error), minbert_error_hint(error));
  minbert_error_free(error);
  return code;
}

int main(int argc, char **argv) {
  const minbert_options options = {sizeof(options), MINBERT_DTYPE_F32, 2};
  minbert_model *model = NULL;
  minbert_predictions *answers = NULL;
  minbert_error *error = NULL;
  char line[4096];
  if (minbert_open(argc > 1 ? argv[1] : "", &options, &model, &error)) return fail(error);
  size_t width = 0;
  if (minbert_embed_width(model, NULL, &width, &error)) return fail(error);
  float *vector = malloc(width * sizeof(float));
  int code = 0;
  while (code == 0 && fgets(line, sizeof(line), stdin) != NULL) {
    const minbert_text text = {line, strcspn(line, "\n"), NULL, 0};
    if (minbert_predict(model, argc > 2 ? argv[2] : NULL, &text, 1, &answers, &error) ||
        minbert_embed(model, &text, 1, NULL, vector, width, &error)) {
      code = fail(error);
      break;
    }
    printf("%s %.3f %.3f\n", minbert_predictions_label(answers, 0), minbert_predictions_score(answers, 0), vector[0]);
    minbert_predictions_free(answers);
  }
  free(vector);
  minbert_model_free(model);
  return code;
}
