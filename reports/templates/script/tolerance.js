// The tolerance chart: for each regime, how many elements had an error of so many times the attainable one.
const EXACT = -8;
const binOf = (key, beyond) => (key === 'exact' ? {at: EXACT, bits: 0} : key === 'inf' ? {at: beyond, bits: 60} : {at: Number(key) - 0.5, bits: Math.max(0, Number(key))});
const told = (key) => (key === 'exact' ? 'none' : key === 'inf' ? 'nan or inf' : `up to ${power(key)} × attainable`);

KIND.tolerance = {
  entries: (results, loss) => results.tolerances.filter((each) => each.loss === loss),
  context: () => null,
  fill(spec, chosen, _, width) {
    const keys = chosen.flatMap((each) => Object.keys(each.counts));
    const most = Math.max(8, ...keys.map(Number).filter(Number.isFinite));
    const beyond = most + 3, end = keys.includes('inf') ? beyond + 2 : most + 2;
    const rows = [];
    for (const each of chosen) {
      const whole = Object.values(each.counts).reduce((sum, count) => sum + count, 0);
      for (const [key, elements] of Object.entries(each.counts)) {
        if (elements) rows.push({panel: panelOf(each), regime: each.regime, ...binOf(key, beyond), share: elements / whole, elements, told: told(key)});
      }
    }
    const {columns, panel} = panels(width, 130, 182);
    spec.data = {values: rows};
    spec.columns = Math.min(columns, Math.max(1, new Set(rows.map((row) => row.panel)).size));
    spec.spec.width = Math.min(panel, 420);
    const step = most > 30 ? 12 : most > 14 ? 6 : 3;
    const at = [EXACT, ...Array.from({length: Math.floor((most + 6) / step) + 1}, (_, i) => -6 + i * step).filter((bits) => bits <= most)];
    const text = at.map((bits) => (bits === EXACT ? 'exact' : bits < -4 ? '' : bits === 0 ? '1' : power(bits)));
    if (keys.includes('inf')) { at.push(beyond); text.push('∞'); }
    setParam(spec, {x_at: at, x_text: text});
    for (const layer of spec.spec.layer) {
      if (layer.encoding.size && width < 480) layer.encoding.size.legend.columns = 2;
      Object.assign(layer.encoding.x.scale ??= {}, {domain: [EXACT - 1, end], nice: false, zero: false});
    }
  },
  label: (chosen, _, state) => `Errors of the ${state.quantity} in ${state.dtype} by regime, as multiples of the attainable error; a larger dot is a larger share of the elements. `
    + 'Up to the dashed line, 8 times, a result passes.',
  tables(chosen) {
    const keys = [...new Set(chosen.flatMap((each) => Object.keys(each.counts)))].sort((a, b) => binOf(a, 99).at - binOf(b, 99).at);
    return [...new Set(chosen.map(panelOf))].map((name) => gridOf(
      `${name}: elements by their error ÷ attainable error, at most`, 'regime', keys.map((key) => (key === 'exact' ? 'exact' : key === 'inf' ? 'nan, inf' : power(key))),
      chosen.filter((each) => panelOf(each) === name).map((each) => [each.regime, keys.map((key) => (each.counts[key] ?? 0).toLocaleString('en'))])));
  },
};

const seen = new IntersectionObserver((entries) => {
  for (const {isIntersecting, target} of entries) {
    if (!isIntersecting || target.dataset.state) continue;
    start(target).catch((error) => { target.dataset.state = 'failed'; target.textContent = `The chart cannot be drawn: ${error.message}`; });
  }
}, {rootMargin: '200px'});
for (const figure of all('figure.chart')) {
  figure.hidden = false;
  seen.observe(figure);
}
