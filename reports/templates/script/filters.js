// Filters: the matrix, findings and losses show what is wanted, and the address remembers it. What is hidden is counted.
const form = document.querySelector('form.filters');
const KINDS = ['framework', 'dtype', 'mode', 'verdict'];
const RANK = ['error', 'fail', 'degraded', 'waived', 'pass', 'skip'];

const WHOLE = new WeakMap(); // what a cell tells of all of its settings

const wanted = () => {
  const state = {loss: form.elements.loss.value.trim().toLowerCase()};
  for (const kind of KINDS) state[kind] = new Set(all(`input[name=${kind}]:checked`, form).map((box) => box.value));
  return state;
};
const meets = (state, kind, values) => !state[kind].size || values.some((value) => state[kind].has(value));
const ofLoss = (state, name) => name.toLowerCase().includes(state.loss);

// a cell tells the worst of the settings that are wanted
const cell = (element, state, kinds) => {
  let worst = null, bits = -1, seen = 0;
  for (const each of all('.settings li', element)) {
    const {dtype, mode, verdict} = each.dataset;
    each.hidden = !(meets(state, 'dtype', [dtype]) && meets(state, 'mode', [mode]) && meets(state, 'verdict', [verdict]));
    if (each.hidden) continue;
    seen += 1;
    if (worst === null || RANK.indexOf(verdict) < RANK.indexOf(worst)) worst = verdict;
  }
  element.hidden = !seen;
  if (!seen) return false;
  let lost = '–';
  for (const each of all('.settings li:not([hidden])', element)) {
    if (each.dataset.verdict !== worst) continue;
    if (bits < 0) lost = each.dataset.lost;
    if (each.dataset.bits !== '' && Number(each.dataset.bits) > bits) [bits, lost] = [Number(each.dataset.bits), each.dataset.lost];
  }
  const link = element.querySelector('a'), text = link.querySelector('.worst');
  if (!WHOLE.has(link)) WHOLE.set(link, [link.className, text.textContent, link.getAttribute('aria-label')]);
  const [name, whole, label] = WHOLE.get(link);
  const untouched = !kinds;
  link.className = untouched ? name : worst;
  text.textContent = untouched ? whole : `${form.dataset[worst]} ${lost}`;
  link.setAttribute('aria-label', untouched ? label : `${label.slice(0, label.lastIndexOf(':'))}: ${worst}, ${lost}${bits < 0 ? '' : ' bits lost'}`);
  return true;
};

const apply = () => {
  const state = wanted();
  const kinds = state.dtype.size + state.mode.size + state.verdict.size;
  const any = kinds || state.framework.size || state.loss;
  for (const head of all('.matrix thead th[data-framework]')) head.hidden = !meets(state, 'framework', [head.dataset.framework]);
  const shown = new Set();
  const every = all('.matrix tbody tr');
  for (const row of every) {
    let some = false;
    for (const td of row.querySelectorAll('td')) {
      td.hidden = !meets(state, 'framework', [td.dataset.framework]);
      for (const each of all('.cell', td)) some = cell(each, state, kinds) && !td.hidden || some;
    }
    row.hidden = !some || !ofLoss(state, row.dataset.loss);
    if (!row.hidden) shown.add(row.dataset.loss);
  }
  for (const element of all('details.loss, .of-losses li')) element.hidden = any && !shown.has(element.dataset.loss);
  let hidden = 0;
  for (const each of all('details.finding')) {
    const {loss, framework, dtype, mode, verdict} = each.dataset;
    each.hidden = !(ofLoss(state, loss) && meets(state, 'framework', [framework]) && meets(state, 'dtype', dtype.split(' '))
      && meets(state, 'mode', mode.split(' ')) && meets(state, 'verdict', [verdict]));
    hidden += each.hidden;
  }
  for (const row of all('details.loss tr[data-framework]')) {
    const {framework, dtype, mode, verdict} = row.dataset;
    row.hidden = !(meets(state, 'framework', [framework]) && meets(state, 'dtype', [dtype])
      && (!mode || meets(state, 'mode', [mode])) && (!verdict || meets(state, 'verdict', [verdict])));
  }
  document.getElementById('shown').textContent = any
    ? `${shown.size} of ${every.length} losses shown${hidden ? `, ${hidden} finding${hidden === 1 ? '' : 's'} hidden` : ''}`
    : `All ${every.length} losses shown`;
  form.querySelector('button').hidden = !any;
  return state;
};

const remember = (state) => {
  const query = new URLSearchParams();
  if (state.loss) query.set('loss', state.loss);
  for (const kind of KINDS) if (state[kind].size) query.set(kind, [...state[kind]].join(','));
  const text = query.toString().replaceAll('%2C', ',');
  try { history.replaceState(null, '', (text ? `?${text}` : location.pathname) + location.hash); } catch { /* not from disk */ }
};

if (form) {
  form.hidden = false;
  for (const box of all('input[name=verdict]', form)) form.dataset[box.value] = box.nextElementSibling.textContent.slice(0, 1);
  const query = new URLSearchParams(location.search);
  form.elements.loss.value = query.get('loss') ?? '';
  for (const kind of KINDS) {
    const values = (query.get(kind) ?? '').split(',');
    for (const box of all(`input[name=${kind}]`, form)) box.checked = values.includes(box.value);
  }
  form.addEventListener('input', () => remember(apply()));
  form.addEventListener('reset', () => setTimeout(() => remember(apply())));
  form.addEventListener('submit', (event) => event.preventDefault());
  apply();
  if (location.hash) follow();
}
