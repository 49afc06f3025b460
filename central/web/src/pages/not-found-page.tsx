/** What an unknown address shows. */
import { Link } from 'wouter';
import { PageTitle } from '../components/page-title.tsx';
import { Empty } from '../components/states.tsx';

export function NotFoundPage() {
  return (
    <>
      <PageTitle title="No such page" />
      <Empty title="Nothing lives at this address">
        <p>
          Go to the <Link href="/">fleet</Link> or the <Link href="/events">events</Link>.
        </p>
      </Empty>
    </>
  );
}
