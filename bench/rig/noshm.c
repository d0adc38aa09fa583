/* Preloaded into Debian's amandad 3.5.1 it says that the shared-memory ring cannot be had, so that amandad relays
 * sendbackup's data through pipes in its one event loop: the way of every release before 3.5, and of the site of 2014.
 * The name and that NULL means "no" were found with nm -D and by running it. */
void *shm_ring_create(char **error);
void *shm_ring_create(char **error) {
  (void)error;
  return 0;
}
