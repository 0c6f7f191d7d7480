/* A task plugin that reports OUT_OF_MEMORY for jobs that have a file of their id in OOM_FOLDER.
 * The real report needs cgroups with the memory controller, which few machines hand to a user.
 * Compiled with OOM_FOLDER and SLURM_VERSION (22.05.8 is 0x160508); needs no header of SLURM,
 * because what it is passed is passed over. */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char plugin_name[] = "task plugin of the testbed";
const char plugin_type[] = "task/oomfake";
const uint32_t plugin_version = SLURM_VERSION;

int init(void) { return 0; }
int fini(void) { return 0; }
int task_p_slurmd_batch_request(void) { return 0; }
int task_p_slurmd_launch_request(void) { return 0; }
int task_p_slurmd_suspend_job(void) { return 0; }
int task_p_slurmd_resume_job(void) { return 0; }
int task_p_pre_setuid(void) { return 0; }
int task_p_pre_set_affinity(void) { return 0; }
int task_p_set_affinity(void) { return 0; }
int task_p_post_set_affinity(void) { return 0; }
int task_p_pre_launch(void) { return 0; }
int task_p_pre_launch_priv(void) { return 0; }
int task_p_post_step(void) { return 0; }
int task_p_add_pid(void) { return 0; }

/* Called in slurmstepd, which calls itself "slurmstepd: [JOB.STEP]". */
int task_p_post_term(void)
{
    char title[256] = "", path[4096];
    unsigned job;
    FILE *file = fopen("/proc/self/cmdline", "r");

    if (!file)
        return 0;
    fread(title, 1, sizeof title - 1, file);
    fclose(file);
    if (sscanf(title, "slurmstepd: [%u.", &job) != 1)
        return 0;
    snprintf(path, sizeof path, "%s/%u", OOM_FOLDER, job);
    return access(path, F_OK) == 0 ? ENOMEM : 0;
}
