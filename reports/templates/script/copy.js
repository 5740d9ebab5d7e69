// A button copies the snippet beside it.
const copied = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a browser that has no clipboard for pages from disk
    const area = make('textarea', {value: text});
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
};
for (const button of all('button.copy')) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    await copied(button.parentElement.querySelector('code').textContent);
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1600);
  });
}
