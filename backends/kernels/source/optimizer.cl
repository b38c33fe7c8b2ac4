KERNEL(adamw)
(GLOBAL float *parameter, GLOBAL float *moment1, GLOBAL float *moment2,
 GLOBAL const float *gradient, GLOBAL const float *grad_scale, GLOBAL const float *step,
 adamw_parameters p)
{
  GLOBAL const float *record = step + p.step;
  const float scale = grad_scale != 0 ? grad_scale[p.grad_scale] : 1.0f;
  const float learning_rate = record[STEP_LEARNING_RATE];
  const float decay = 1.0f - learning_rate * p.decay_rate;
  const float rate = learning_rate * p.rate / record[STEP_CORRECTION1];
  const float root = MATH(sqrt)(record[STEP_CORRECTION2]);
  EACH_TILE(p.tiling)
  {
    const row_part s = part_of(p.tiling, tile);
    GLOBAL float *value = parameter + row_start(p.parameter, p.tiling, s.row);
    GLOBAL float *first = moment1 + row_start(p.moment1, p.tiling, s.row);
    GLOBAL float *second = moment2 + row_start(p.moment2, p.tiling, s.row);
    GLOBAL const float *g_row = gradient + row_start(p.gradient, p.tiling, s.row);
    EACH_COLUMN(s, p.tiling)
    {
      const float g = g_row[j] * scale;
      const float m = p.beta1 * first[j] + p.rest1 * g;
      const float v = p.beta2 * second[j] + p.rest2 * g * g;
      first[j] = m;
      second[j] = v;
      value[j] = value[j] * decay - rate * m / (MATH(sqrt)(v) / root + p.epsilon);
    }
  }
}
