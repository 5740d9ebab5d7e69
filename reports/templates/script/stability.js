// The stability map: positions are indices into the values of the axes, whatever their scale.
const short = (value) => {
  const size = Math.abs(value);
  const text = size === 0 || (size >= 1e-3 && size < 1e4) ? String(Number(value.toPrecision(3)))
    : value.toExponential(1).replace('.0e', 'e').replace('e+', 'e');
  return text.replaceAll('-', '−');
};
const transformed = (axis) => (value) => {
  if (axis.scale === 'linear') return value;
  if (axis.scale === 'log') return Math.log(value);
  const least = Math.min(...axis.values.map(Math.abs).filter((each) => each > 0)) || 1;
  return Math.sign(value) * Math.log1p(Math.abs(value) / least);
};
// where a value lies, in cells: the centre of the cell of values[i] is i + 0.5
const position = (axis, value) => {
  const to = transformed(axis), at = to(value), every = axis.values.map(to);
  for (let i = 0; i + 1 < every.length; i += 1) {
    if (at <= every[i + 1]) return Math.max(0, i + 0.5 + (at - every[i]) / (every[i + 1] - every[i]));
  }
  return every.length;
};
const ticksOf = (axis, room) => {
  const step = Math.max(1, Math.ceil(axis.values.length / room));
  const at = axis.values.map((_, i) => i).filter((i) => i % step === 0);
  return {at: at.map((i) => i + 0.5), text: at.map((i) => short(axis.values[i]))};
};
const setParam = (spec, values) => { for (const param of spec.params) if (param.name in values) param.value = values[param.name]; };
const MARKS = {nan: '×', inf: '∞', '-inf': '−∞'};

KIND.stability = {
  entries: (results, loss) => results.maps.filter((map) => map.loss === loss),
  context: (results, loss) => results.planes.find((plane) => plane.loss === loss),
  fill(spec, chosen, plane, width) {
    const {columns, panel} = panels(width, 190, 78);
    const nx = plane.x.values.length, ny = plane.y.values.length;
    const rows = [];
    for (const map of chosen) {
      const name = panelOf(map);
      map.bits.forEach((row, j) => row.forEach((bits, i) => {
        if (bits === null) return;
        const cell = {kind: 'cell', panel: name, i, j, x: short(plane.x.values[i]), y: short(plane.y.values[j])};
        rows.push(typeof bits === 'number' ? {...cell, bits, told: String(bits)} : {...cell, mark: MARKS[bits], told: bits});
      }));
      let run = 0, order = 0;
      map.breakdown.forEach((x, j) => {
        if (x === null) { run += 1; return; }
        // the first value at which it fails: the line runs before it
        const i = Math.max(0, position(plane.x, x) - 0.5);
        rows.push({kind: 'edge', panel: name, run: `${name} ${run}`, i, j, order: order++}, {kind: 'edge', panel: name, run: `${name} ${run}`, i, j: j + 1, order: order++});
      });
      if (!rows.some((row) => row.panel === name)) rows.push({kind: 'empty', panel: name});
    }
    spec.data = {values: rows};
    spec.columns = Math.min(columns, Math.max(1, chosen.length));
    spec.spec.width = Math.min(panel, 320);
    // a name wider than its panel would push the next column out of the page
    spec.facet.header.labelLimit = spec.spec.width;
    spec.spec.height = Math.round(Math.min(panel, 320) * 0.85);
    const xTicks = ticksOf(plane.x, Math.max(3, Math.floor(spec.spec.width / 44))), yTicks = ticksOf(plane.y, 10);
    setParam(spec, {x_at: xTicks.at, x_text: xTicks.text, y_at: yTicks.at, y_text: yTicks.text});
    for (const layer of spec.spec.layer) {
      const {x, y} = layer.encoding;
      Object.assign(x.scale ??= {}, {domain: [0, nx]});
      Object.assign(y.scale ??= {}, {domain: [0, ny]});
      if (x.axis) x.axis.title = plane.x.name;
      if (y.axis) y.axis.title = plane.y.name;
      for (const tip of layer.encoding.tooltip ?? []) {
        if (tip.field === 'x') tip.title = plane.x.name;
        if (tip.field === 'y') tip.title = plane.y.name;
      }
    }
  },
  label(chosen, plane, state) {
    const broken = chosen.filter((map) => map.breakdown.some((x) => x !== null)).map(panelOf);
    return `Bits lost in the ${state.quantity} in ${state.dtype}, over ${plane.x.name} and ${plane.y.name}. `
      + 'Black: ∞ is an infinity, × a nan, where the truth is finite. Empty: undecided or outside of the format. '
      + (broken.length ? `The blue line is where these fail for good: ${broken.join(', ')}.` : 'None of these fails for good anywhere on the plane.');
  },
  tables: (chosen, plane) => chosen.map((map) => gridOf(
    `${panelOf(map)}: bits lost; across, ${plane.x.name}; down, ${plane.y.name}`, plane.y.name, plane.x.values.map(short),
    map.bits.map((row, j) => [short(plane.y.values[j]), row.map((bits) => (bits === null ? '–' : String(bits)))]))),
};
