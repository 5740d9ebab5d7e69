// Charts: drawn when they come into view, with a choice of dtype and quantity, and again in the colours of the other theme.
const dark = matchMedia('(prefers-color-scheme: dark)');
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const KIND = {}; // by name: {rows(results, loss), fill(spec, entries, context), table(entries, context)}

const theme = () => {
  const ink = colour('--ink'), faint = colour('--faint'), line = colour('--line');
  return {
    background: 'transparent', circle: {stroke: faint, strokeWidth: 0.8}, font: 'system-ui, sans-serif', view: {stroke: line},
    axis: {labelColor: faint, titleColor: ink, titleFontWeight: 'normal', gridColor: line, domainColor: line, tickColor: line},
    header: {labelColor: ink, labelFontSize: 12, labelFontWeight: 600, labelAnchor: 'start'},
    legend: {labelColor: faint, titleColor: ink, titleFontWeight: 'normal', symbolFillColor: faint, symbolStrokeWidth: 0},
  };
};
// the colours of bits lost are in each layer that has them
const recolour = (spec) => {
  if (!dark.matches) return;
  const walk = (node) => {
    if (!node || typeof node !== 'object') return;
    if (node.scale?.range?.length === spec.usermeta.dark.length) node.scale.range = spec.usermeta.dark;
    Object.values(node).forEach(walk);
  };
  walk(spec);
};
const panelOf = (entry) => `${entry.implementation} · ${entry.framework}${entry.device === 'cpu' ? '' : ` ${entry.device}`} ${entry.mode}`;
const power = (bits) => `2${String(bits).replace('-', '⁻').replace(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit])}`;
const choices = (entries, key) => [...new Set(entries.map((entry) => entry[key]))];

const controls = (figure, entries, draw) => {
  const state = {};
  const bar = make('div', {className: 'choices'});
  for (const key of ['quantity', 'dtype', 'mode']) {
    const values = choices(entries, key).sort((a, b) => (key === 'dtype' ? (b === 'float32') - (a === 'float32') : key === 'mode' ? (b === 'eager') - (a === 'eager') : (b === 'value') - (a === 'value')));
    state[key] = values[0];
    if (values.length < 2) continue;
    const group = make('fieldset', {}, make('legend', {textContent: key}));
    values.forEach((value, i) => {
      const box = make('input', {type: 'radio', name: `${figure.dataset.chart}-${figure.dataset.loss}-${key}`, value, checked: !i});
      box.addEventListener('change', () => { state[key] = value; draw(state); });
      group.append(make('label', {className: 'chip'}, box, make('span', {textContent: value})));
    });
    bar.append(group);
  }
  figure.append(bar);
  return state;
};

const start = async (figure) => {
  figure.dataset.state = 'drawing';
  const {results, specs} = await tools();
  const kind = KIND[figure.dataset.chart];
  const loss = JSON.parse(figure.dataset.loss);
  const entries = kind.entries(results, loss);
  const context = kind.context(results, loss);
  const place = make('div', {className: 'drawing', tabIndex: 0, role: 'region'}); // it scrolls where there is little room
  place.setAttribute('aria-label', `The ${figure.dataset.chart} chart of ${loss}`);
  const note = make('figcaption', {className: 'faint'});
  const body = make('div', {className: 'scroll', tabIndex: 0, role: 'region'});
  body.setAttribute('aria-label', `The chart of ${loss} as a table`);
  const table = make('details', {className: 'as-table'}, make('summary', {textContent: 'This chart as a table'}), body);
  let view = null, tick = 0;
  const draw = async (state) => {
    const mine = ++tick;
    const chosen = entries.filter((entry) => entry.quantity === state.quantity && entry.dtype === state.dtype && entry.mode === state.mode);
    const spec = structuredClone(specs[figure.dataset.chart]);
    const width = Math.min(figure.clientWidth, 1400);
    kind.fill(spec, chosen, context, width);
    recolour(spec);
    spec.config = theme();
    const label = kind.label(chosen, context, state);
    spec.description = label;
    const made = await vegaEmbed(place, spec, {ast: true, actions: false, renderer: 'canvas', defaultStyle: false, tooltip: {disableDefaultStyle: true, theme: 'page'}});
    if (mine !== tick) { made.finalize(); return; }
    view?.finalize();
    view = made;
    note.textContent = label;
    body.replaceChildren(...(table.open ? kind.tables(chosen, context) : []));
    table.ontoggle = () => { body.replaceChildren(...(table.open ? kind.tables(chosen, context) : [])); };
    figure.dataset.state = 'drawn';
  };
  const state = controls(figure, entries, draw);
  figure.append(place, note, table);
  let width = figure.clientWidth;
  new ResizeObserver(() => {
    if (figure.clientWidth && Math.abs(figure.clientWidth - width) > 40) { width = figure.clientWidth; draw(state); }
  }).observe(figure);
  dark.addEventListener('change', () => draw(state));
  await draw(state);
};

const gridOf = (caption, corner, columns, rows) => {
  const head = make('tr', {}, make('th', {textContent: corner, scope: 'col'}), ...columns.map((name) => make('th', {textContent: name, scope: 'col', className: 'number'})));
  const body = rows.map(([name, cells]) => make('tr', {}, make('th', {textContent: name, scope: 'row'}), ...cells.map((text) => make('td', {textContent: text, className: 'number'}))));
  return make('table', {}, make('caption', {textContent: caption}), make('thead', {}, head), make('tbody', {}, ...body));
};
// panels beside each other, as many as there is room for, each at least so wide
const panels = (width, least, around) => {
  const columns = Math.max(1, Math.floor(width / (least + around)));
  return {columns, panel: Math.max(120, Math.floor(width / columns) - around)};
};
