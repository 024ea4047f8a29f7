/*
 * The measured loops of the peer `liburcu-memb`, in C so that its sections inline as they would in
 * a C program.
 *
 * Built and linked only with the cargo feature `liburcu`. The feature then includes the inline
 * functions of liburcu's public headers (_LGPL_SOURCE) and links to the shared library liburcu-memb,
 * both under the LGPL, version 2.1 or later; a program built this way is distributed under that
 * licence's terms. Without the feature nothing of liburcu is used.
 */
#define _LGPL_SOURCE
#include <urcu/urcu-memb.h>

#include <stdint.h>

/* Nothing, but the compiler does not know. */
static inline void body(void)
{
	__asm__ __volatile__("" ::: "memory");
}

static inline void section(void)
{
	urcu_memb_read_lock();
	body();
	urcu_memb_read_unlock();
}

static inline void four_sections(void)
{
	section();
	section();
	section();
	section();
}

void rcubench_liburcu_register(void)
{
	urcu_memb_register_thread();
}

void rcubench_liburcu_unregister(void)
{
	urcu_memb_unregister_thread();
}

/* Sixteen sections a turn. The thread is registered. */
void rcubench_liburcu_sections(uint64_t turns)
{
	for (uint64_t turn = 0; turn < turns; turn++) {
		body();
		four_sections();
		four_sections();
		four_sections();
		four_sections();
	}
}

/* As rcubench_liburcu_sections, inside another section. */
void rcubench_liburcu_nested(uint64_t turns)
{
	urcu_memb_read_lock();
	rcubench_liburcu_sections(turns);
	urcu_memb_read_unlock();
}

/* Reads until told to stop, counting the sections. The thread is registered. */
void rcubench_liburcu_read_until(const uint8_t *stop, uint64_t *sections)
{
	for (uint64_t count = 1; !__atomic_load_n(stop, __ATOMIC_RELAXED); count++) {
		section();
		__atomic_store_n(sections, count, __ATOMIC_RELAXED);
	}
}

void rcubench_liburcu_synchronize(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		urcu_memb_synchronize_rcu();
}
