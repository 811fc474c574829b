/* jobs.c - the public jobs on model files: the work is in src/model, a runtime lends its threads. */
#include "infer/infer.h"

static sc_status calibrate(struct imatrix *out, void *rt, const sc_convert_config *c, sc_error *err) { return model_calibrate(out, rt, c, err); }

sc_status sc_convert(sc_runtime *rt, const sc_convert_config *c, sc_error *err) { return model_convert(c, &(struct calibrator){ calibrate, rt }, rt->pool, &rt->cancel, err); }

sc_status sc_init(sc_runtime *rt, const sc_init_config *c, sc_error *err) { return model_init(c, rt->pool, &rt->cancel, err); }
