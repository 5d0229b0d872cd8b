import { useLayoutEffect, useRef } from 'preact/hooks';
import { hasKeys, setKeys } from './keys.ts';

const KEYS = [
  ['/', 'search nodes, channels and clients'],
  ['j k', 'next and previous row'],
  ['Space', 'freeze the page, or continue'],
  ['1 2 3 4', 'go to a section'],
  ['?', 'this help'],
] as const;

/** Keys that act in any case: they are the browser's, or those of the place that has the focus. */
const OTHER_KEYS = [
  ['Enter', 'open what the row names'],
  ['Esc', 'close'],
  ['← →', 'on a chart: tell its values'],
] as const;

/** What keys do, and whether they do. */
export function Help({ onClose }: { readonly onClose: () => void }) {
  const place = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => place.current?.showModal(), []);
  return (
    <dialog ref={place} class="help" aria-labelledby="help-title" onClose={onClose}>
      <h2 id="help-title">Keys</h2>
      <dl class={hasKeys.value ? '' : 'off'}>
        <Rows keys={KEYS} />
      </dl>
      <label class="switch">
        <input
          type="checkbox"
          role="switch"
          aria-checked={hasKeys.value}
          checked={hasKeys.value}
          onChange={({ currentTarget }) => setKeys(currentTarget.checked)}
        />
        <span>These keys act</span>
      </label>
      <dl>
        <Rows keys={OTHER_KEYS} />
      </dl>
      <button type="button" onClick={() => place.current?.close()}>
        Close
      </button>
    </dialog>
  );
}

function Rows(props: { readonly keys: readonly (readonly [string, string])[] }) {
  return (
    <>
      {props.keys.map(([key, meaning]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{meaning}</dd>
        </div>
      ))}
    </>
  );
}
