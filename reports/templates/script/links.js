// A link opens at what it names, also where that lies in something closed.
const open = (target) => {
  for (let at = target; at; at = at.parentElement) if (at.tagName === 'DETAILS') at.open = true;
};
const follow = () => {
  let name = location.hash.slice(1);
  try { name = decodeURIComponent(name); } catch { /* as it is */ }
  const target = name && document.getElementById(name);
  if (!target) return;
  target.closest('[hidden]')?.removeAttribute('hidden');
  open(target);
  target.scrollIntoView();
  if (target.tagName === 'DETAILS') target.querySelector('summary').focus({preventScroll: true});
};
addEventListener('hashchange', follow);
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="#"]');
  // the address does not change, so there is no event: what was closed since is opened again
  if (link && link.hash === location.hash) follow();
});
addEventListener('beforeprint', () => {
  for (const details of all('details.loss, details.finding')) details.open = true;
});
follow();

// a formula that scrolls in itself can be reached by the keyboard; one that has room is no stop on the way
const reachable = () => {
  for (const each of all('details[open] .math.scroll')) {
    if (each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight) each.tabIndex = 0;
    else each.removeAttribute('tabindex');
  }
};
document.addEventListener('toggle', reachable, true);
addEventListener('resize', reachable);
reachable();
