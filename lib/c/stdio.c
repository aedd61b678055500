/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output with a buffer of one line. One print holds the lock from its start to
 * its end, so that lines of several threads do not mix.
 */
#include <stdio.h>
#include <mach/threads.h>
#include <string.h>
#include "format.h"

struct file {
	struct mutex lock;
	void (*write)(const char *data, size_t size);
	size_t used;
	char buffer[STDIO_BUFFER];
};

static struct file console = { .lock = MUTEX_INIT };
FILE *const stdout = &console, *const stderr = &console;

void stdio_set_writer(FILE *file, void (*write)(const char *data, size_t size))
{
	mutex_lock(&file->lock);
	file->write = write;
	mutex_unlock(&file->lock);
}

static void flush_locked(FILE *file)
{
	size_t n = file->used;

	file->used = 0;
	if (n > 0 && file->write != NULL)
		file->write(file->buffer, n);
}

static void put_locked(FILE *file, char c)
{
	file->buffer[file->used++] = c;
	if (file->used == STDIO_BUFFER)
		flush_locked(file);
}

/* A text is complete: nothing is held back behind its end of line. */
static void end_locked(FILE *file)
{
	if (file->used > 0 && file->buffer[file->used - 1] == '\n')
		flush_locked(file);
}

static void write_locked(FILE *file, const char *data, size_t size)
{
	while (size-- > 0)
		put_locked(file, *data++);
	end_locked(file);
}

static void write_all(FILE *file, const char *data, size_t size)
{
	mutex_lock(&file->lock);
	write_locked(file, data, size);
	mutex_unlock(&file->lock);
}

int fflush(FILE *file)
{
	if (file == NULL)
		file = stdout;
	mutex_lock(&file->lock);
	flush_locked(file);
	mutex_unlock(&file->lock);
	return 0;
}

struct print {
	struct output out;
	FILE *file;
};

static void put_in_file(struct output *out, char c)
{
	put_locked(((struct print *)out)->file, c);
}

int vfprintf(FILE *file, const char *format, va_list arguments)
{
	struct print print = { .out.put = put_in_file, .file = file };

	mutex_lock(&file->lock);
	format_to(&print.out, format, arguments);
	end_locked(file);
	mutex_unlock(&file->lock);
	return (int)print.out.length;
}

int vprintf(const char *format, va_list arguments)
{
	return vfprintf(stdout, format, arguments);
}

int fprintf(FILE *file, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vfprintf(file, format, arguments);
	va_end(arguments);
	return n;
}

int printf(const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vfprintf(stdout, format, arguments);
	va_end(arguments);
	return n;
}

int fputs(const char *text, FILE *file)
{
	write_all(file, text, strlen(text));
	return 0;
}

int puts(const char *text)
{
	mutex_lock(&stdout->lock);
	write_locked(stdout, text, strlen(text));
	write_locked(stdout, "\n", 1);
	mutex_unlock(&stdout->lock);
	return 0;
}

int fputc(int c, FILE *file)
{
	char byte = (char)c;

	write_all(file, &byte, 1);
	return (unsigned char)c;
}

int putchar(int c)
{
	return fputc(c, stdout);
}

size_t fwrite(const void *from, size_t size, size_t count, FILE *file)
{
	write_all(file, from, size * count);
	return count;
}
