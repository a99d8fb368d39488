# SPDX-License-Identifier: Apache-2.0
"""The script of the page: folding, search, filters, sorting and the explanations that open. The page is readable without it."""

SCRIPT = r"""(() => {
'use strict';
const one = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
const copies = element => element.cloneNode(true).childNodes;
document.documentElement.classList.add('js');

const table = one('#layers'), body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
const search = one('#search'), chips = all('.tools .chip[data-f]'), count = one('.tools output'), unfold = one('#unfold');
const order = one('#order'), scored = heads.findIndex(head => head.dataset.first);
const collator = new Intl.Collator(undefined, {numeric: true});
const state = {column: -1, down: false, open: new Set(), every: false};
rows.forEach(row => { row.words = (row.cells[0].textContent + '\n' + row.cells[1].textContent).toLowerCase(); });

// ---------------------------------------------------------------- what is shown

function pattern() {
  const asked = search.value.trim().toLowerCase();
  if (!asked) return null;
  if (!/[*?]/.test(asked)) return words => words.includes(asked);
  const glob = asked.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*+/g, '.*').replace(/\?/g, '.');
  const expression = new RegExp('^' + glob + '$');
  return words => words.split('\n').some(part => expression.test(part));
}

function value(row, column) {
  const cell = row.cells[column];
  if (!cell) return null;
  const text = cell.dataset.v || (one('ins', cell) || cell).textContent.trim();
  const number = Number(text.replace(/ dB$/, ''));
  return text === '' ? null : Number.isNaN(number) ? text : number;
}

function sorted() {
  if (state.column < 0) return rows;
  const keys = new Map(rows.map(row => [row, value(row, state.column)])), sign = state.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const x = keys.get(a), y = keys.get(b);
    if (x === null || y === null) return (x === null) - (y === null);
    if (typeof x === 'number' && typeof y === 'number') return sign * (x - y);
    return sign * collator.compare(String(x), String(y));
  });
}

function render() {
  const asked = pattern(), wanted = chips.filter(chip => chip.getAttribute('aria-pressed') === 'true').map(chip => chip.dataset.f);
  const isShown = row => (!asked || asked(row.words)) && wanted.every(name => row.classList.contains(name));
  const ordered = sorted(), shown = ordered.filter(isShown);
  const folds = !asked && !(scored >= 0 && state.column === scored);
  const parts = [];
  ordered.forEach(row => { row.classList.remove('in', 'under'); row.classList.toggle('out', !isShown(row)); });
  for (let first = 0, last; first < shown.length; first = last) {
    last = first + 1;
    while (last < shown.length && shown[last].dataset.k === shown[first].dataset.k) last++;
    const run = shown.slice(first, last);
    if (folds && run.length > 2) {
      const open = state.every || state.open.has(run[0]);
      parts.push(summary(run, open));
      run.forEach(row => row.classList.add('under', ...(open ? [] : ['in'])));
    }
    parts.push(...run);
  }
  body.replaceChildren(...parts, ...ordered.filter(row => !isShown(row)));
  count.textContent = shown.length === rows.length ? rows.length + ' layers' : shown.length + ' of ' + rows.length + ' layers';
  unfold.textContent = state.every ? 'fold equal layers' : 'unfold all';
  unfold.hidden = !folds || !parts.some(row => row.classList.contains('sum'));
  heads.forEach((head, at) => {
    if (at === state.column) head.setAttribute('aria-sort', state.down ? 'descending' : 'ascending');
    else head.removeAttribute('aria-sort');
  });
}

function scope(names) {
  let length = 0;
  while (names.every(name => name[length] !== undefined && name[length] === names[0][length])) length++;
  const start = names[0].slice(0, length);
  return start.slice(0, (names[0].includes('/') ? start.lastIndexOf('/') : start.lastIndexOf('.')) + 1);
}

function summary(run, open) {
  const row = make('tr', {className: 'sum'}), names = run.map(other => other.cells[0].textContent);
  heads.forEach((head, at) => {
    const cell = make(at ? 'td' : 'th');
    if (!at) {
      const start = scope(names), button = make('button', {type: 'button'});
      button.append(names.length + ' layers ', make('i', {textContent: start ? start + '\u2026' : names[0] + ' \u2026 ' + names[names.length - 1]}));
      button.setAttribute('aria-expanded', open);
      button.addEventListener('click', () => {
        if (!state.open.delete(run[0])) state.open.add(run[0]);
        state.every = false;
        render();
        const again = all('tr.sum').find(other => other.nextSibling === run[0]);
        if (again) one('button', again).focus();
      });
      cell.scope = 'row';
      cell.append(button);
    } else {
      const texts = [...new Set(run.map(other => other.cells[at] ? other.cells[at].textContent : ''))];
      if (texts.length === 1 && run[0].cells[at]) {
        cell.className = run[0].cells[at].className;
        cell.append(...copies(run[0].cells[at]));
      } else if (head.dataset.first) {
        const up = head.dataset.first === 'ascending', known = run.filter(other => value(other, at) !== null);
        const worst = known.reduce((a, b) => (value(b, at) < value(a, at)) === up ? b : a);
        cell.className = 'score';
        cell.append(...copies(worst.cells[at]), ' and better');
      } else cell.textContent = texts.length < 4 ? texts.join(', ') : texts.length + ' different';
    }
    row.append(cell);
  });
  return row;
}

// ---------------------------------------------------------------- tools

function sortBy(column, down) {
  Object.assign(state, {column, down});
  order.value = column;
  render();
}
const startsDown = column => column >= 0 && heads[column].dataset.first === 'descending';
heads.forEach((head, at) => one('button', head).addEventListener('click', () => {
  const down = startsDown(at);
  if (state.column !== at) sortBy(at, down);
  else if (state.down === down) sortBy(at, !down);
  else sortBy(-1, false);
}));
order.addEventListener('change', () => sortBy(Number(order.value), startsDown(Number(order.value))));
search.addEventListener('input', render);
chips.forEach(chip => chip.addEventListener('click', () => {
  chip.setAttribute('aria-pressed', chip.getAttribute('aria-pressed') !== 'true');
  render();
}));
unfold.addEventListener('click', () => {
  state.every = !state.every;
  state.open.clear();
  render();
});
document.addEventListener('keydown', event => {
  if (event.key === '/' && event.target !== search) { event.preventDefault(); search.focus(); }
  if (event.key === 'Escape') {
    if (!tip.hidden) close(true);
    else if (search.value) { search.value = ''; render(); }
  }
});
const tools = one('.tools'), place = () => document.documentElement.style.setProperty('--top', tools.offsetHeight - 1 + 'px');
addEventListener('resize', place);

// ---------------------------------------------------------------- explanations

const tip = make('div', {id: 'tip', hidden: true});
let owner = null, pinned = false, waiting = 0;
tip.setAttribute('role', 'tooltip');
document.body.append(tip);

function explain(link) {
  clearTimeout(waiting);
  if (owner === link) return;
  const words = document.getElementById(link.hash.slice(1));
  if (!words) return;
  close();
  owner = link;
  tip.replaceChildren(...copies(words));
  link.setAttribute('aria-describedby', 'tip');
  tip.hidden = false;
  const box = link.getBoundingClientRect(), wide = document.documentElement.clientWidth;
  tip.style.left = scrollX + Math.max(8, Math.min(box.left, wide - tip.offsetWidth - 12)) + 'px';
  const below = box.bottom + 4 + tip.offsetHeight < innerHeight;
  tip.style.top = scrollY + (below ? box.bottom + 4 : Math.max(4, box.top - tip.offsetHeight - 4)) + 'px';
}

function close(back) {
  clearTimeout(waiting);
  if (back && owner && tip.contains(document.activeElement)) owner.focus();
  if (owner) owner.removeAttribute('aria-describedby');
  tip.hidden = true;
  owner = null;
  pinned = false;
}

const later = () => { clearTimeout(waiting); if (!pinned) waiting = setTimeout(close, 250); };
const explained = target => target.closest && target.closest('a[href^="#e"]');
document.addEventListener('mouseover', event => {
  const link = explained(event.target);
  if (tip.contains(event.target)) clearTimeout(waiting);
  else if (link && !pinned) explain(link);
});
document.addEventListener('mouseout', event => { if (explained(event.target) || tip.contains(event.target)) later(); });
document.addEventListener('focusin', event => {
  const link = explained(event.target);
  if (link) explain(link); else if (!tip.hidden && !tip.contains(event.target)) close();
});
document.addEventListener('click', event => {
  const link = explained(event.target);
  if (link) {
    event.preventDefault();
    explain(link);
    pinned = true;
    const inside = one('a', tip);
    if (inside && !event.detail) inside.focus();
  } else if (tip.contains(event.target)) { if (event.target.closest('a')) setTimeout(close); } else if (!tip.hidden) close();
});

// ---------------------------------------------------------------- the picture of scores

const picture = one('figure svg');
if (picture) {
  const words = one('figcaption span'), before = words.textContent, pointer = one('.pointer', picture);
  const at = event => {
    const box = picture.getBoundingClientRect();
    return rows[Math.max(0, Math.min(rows.length - 1, Math.round((event.clientX - box.left) / box.width * rows.length - 0.5)))];
  };
  picture.addEventListener('mousemove', event => {
    const row = at(event), x = rows.indexOf(row) + 0.5;
    pointer.setAttribute('d', 'M' + x + ' 0V100');
    const score = (row.cells[scored] || row.cells[2]).textContent.trim() || 'no score';
    words.textContent = row.cells[0].textContent + ': ' + score + ', ' + row.cells[2].textContent;
  });
  picture.addEventListener('mouseleave', () => { words.textContent = before; pointer.setAttribute('d', ''); });
  picture.addEventListener('click', event => show(at(event)));
}

function show(row) {
  search.value = '';
  chips.forEach(chip => chip.setAttribute('aria-pressed', 'false'));
  if (row.matches('.in, .out')) state.every = true;
  render();
  all('.found').forEach(other => other.classList.remove('found'));
  row.classList.add('found');
  row.scrollIntoView({block: 'center'});
}
all('a[href^="#r"]').forEach(link => link.addEventListener('click', event => {
  const row = document.getElementById(link.hash.slice(1));
  if (row) { event.preventDefault(); show(row); }
}));

all('details.quiet').forEach(details => { details.open = false; });
addEventListener('beforeprint', () => all('details').forEach(details => { details.open = true; }));
render();
place();
})();
"""
