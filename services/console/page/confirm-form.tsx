import { useState } from 'preact/hooks';

/** Says what will happen, and lets it happen only after a name was typed. */
export function ConfirmForm(props: {
  readonly what: string;
  /** What must be typed. */
  readonly name: string;
  readonly button: string;
  readonly onConfirm: () => void;
}) {
  const [typed, setTyped] = useState('');
  const { what, name, button, onConfirm } = props;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (typed !== name) return;
        setTyped('');
        onConfirm();
      }}
    >
      <p>{what}</p>
      <label>
        <span>
          Type <code>{name}</code> to confirm
        </span>
        <input
          value={typed}
          autocomplete="off"
          spellcheck={false}
          onInput={({ currentTarget }) => setTyped(currentTarget.value)}
        />
      </label>
      <button type="submit" class="danger" disabled={typed !== name}>
        {button}
      </button>
    </form>
  );
}
