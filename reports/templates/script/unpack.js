// What lies in the page compressed: the results, the chart library, the specifications of the charts. Each is unpacked once.
const unpacked = new Map();
const unpack = (id) => {
  if (!unpacked.has(id)) {
    unpacked.set(id, (async () => {
      const packed = Uint8Array.from(atob(document.getElementById(id).innerHTML.trim()), (c) => c.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
      return new Response(stream).text();
    })());
  }
  return unpacked.get(id);
};
// lists of like objects are packed as objects of lists (report/embedded.py)
const rowsOf = (value) => {
  if (!value || !value.columns) return value;
  const keys = Object.keys(value.columns);
  return value.columns[keys[0]].map((_, i) => Object.fromEntries(keys.map((key) => [key, value.columns[key][i]])));
};
let drawing = null;
// the library, the results and the specifications, at the first chart
const tools = () => {
  drawing ??= (async () => {
    const [library, results, specs] = await Promise.all(['vega', 'lossproof-results', 'chart-specs'].map(unpack));
    document.head.append(make('script', {textContent: library})); // the policy knows its hash
    const {tolerances, planes, maps} = JSON.parse(results);
    return {results: {tolerances: rowsOf(tolerances), planes: rowsOf(planes), maps: rowsOf(maps)}, specs: JSON.parse(specs)};
  })();
  return drawing;
};
